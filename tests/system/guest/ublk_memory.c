// SPDX-License-Identifier: MIT OR Apache-2.0
// The smallest useful ublk server: one queue, one thread, one block device whose
// store is this process's own memory.  It knows nothing of locking, like the
// servers that the library is made for.
//
//	ublk_memory NUMBER MIB        serves /dev/ublkbNUMBER until it is killed
//
// A single ring carries control and I/O commands: START_DEV completes only after
// the kernel has read the partition table, from us.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/ublk_cmd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  kDepth = 32,
  kBufferBytes = 128 << 10,
  kBlockShift = 12,
  kSectorShift = 9,
  kControl = kDepth
};

// The encoded numbers, which every kernel since 6.4 takes; older headers lack them.
#define CONTROL(number) _IOWR('u', number, struct ublksrv_ctrl_cmd)
#define IO(number) _IOWR('u', number, struct ublksrv_io_cmd)

static struct io_uring ring;
static const struct ublksrv_io_desc* descriptors;  // what the kernel wants, by tag
static unsigned char *store, *buffers;
static size_t store_bytes;
static int device = -1;

static void fail(const char* what, int error) {
  fprintf(stderr, "ublk_memory: %s: %s\n", what, strerror(error < 0 ? -error : error));
  exit(1);
}

static struct io_uring_sqe* command(int fd, uint32_t operation, uint64_t user_data) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);

  if (!sqe)
    fail("ring is full", EBUSY);
  memset(sqe, 0, 2 * sizeof *sqe);  // IORING_SETUP_SQE128
  sqe->opcode = IORING_OP_URING_CMD;
  sqe->fd = fd;
  sqe->off = operation;  // cmd_op shares its place
  sqe->user_data = user_data;
  return sqe;
}

static void control(int fd, uint32_t operation, struct ublksrv_ctrl_cmd argument) {
  memcpy(command(fd, operation, kControl)->cmd, &argument, sizeof argument);
  io_uring_submit(&ring);
}

static void control_and_wait(int fd, uint32_t operation, struct ublksrv_ctrl_cmd argument,
                             const char* what) {
  struct io_uring_cqe* cqe;

  control(fd, operation, argument);
  if (io_uring_wait_cqe(&ring, &cqe) != 0 || cqe->res < 0)
    fail(what, cqe->res);
  io_uring_cqe_seen(&ring, cqe);
}

static void fetch(unsigned tag, uint32_t operation, int32_t result) {
  const struct ublksrv_io_cmd argument = {
      .tag = (uint16_t)tag,
      .result = result,
      .addr = (uintptr_t)(buffers + (size_t)tag * kBufferBytes),
  };

  memcpy(command(device, operation, tag)->cmd, &argument, sizeof argument);
}

// Serve the request in slot `tag`: bytes done, or a negative errno.
static int32_t serve(unsigned tag) {
  const struct ublksrv_io_desc* request = &descriptors[tag];
  const size_t offset = (size_t)request->start_sector << kSectorShift;
  const size_t bytes = (size_t)request->nr_sectors << kSectorShift;
  unsigned char* buffer = buffers + (size_t)tag * kBufferBytes;

  if (ublksrv_get_op(request) == UBLK_IO_OP_FLUSH)
    return 0;
  if (bytes > kBufferBytes || offset > store_bytes || bytes > store_bytes - offset)
    return -EIO;
  switch (ublksrv_get_op(request)) {
    case UBLK_IO_OP_READ: memcpy(buffer, store + offset, bytes); return (int32_t)bytes;
    case UBLK_IO_OP_WRITE: memcpy(store + offset, buffer, bytes); return (int32_t)bytes;
    default: return -EOPNOTSUPP;
  }
}

static void create(int fd, unsigned number) {
  struct ublksrv_ctrl_dev_info info = {
      .nr_hw_queues = 1,
      .queue_depth = kDepth,
      .max_io_buf_bytes = kBufferBytes,
      .dev_id = number,
      .ublksrv_pid = getpid(),
  };
  struct ublk_params params = {
      .len = sizeof params,
      .types = UBLK_PARAM_TYPE_BASIC,
      .basic =
          {
              .logical_bs_shift = kBlockShift,
              .physical_bs_shift = kBlockShift,
              .io_opt_shift = kBlockShift,
              .io_min_shift = kBlockShift,
              .max_sectors = kBufferBytes >> kSectorShift,
              .dev_sectors = store_bytes >> kSectorShift,
          },
  };
  struct ublksrv_ctrl_cmd argument = {.dev_id = number, .queue_id = UINT16_MAX};

  argument.addr = (uintptr_t)&info, argument.len = sizeof info;
  control_and_wait(fd, CONTROL(UBLK_CMD_ADD_DEV), argument, "ADD_DEV");
  argument.addr = (uintptr_t)&params, argument.len = sizeof params;
  control_and_wait(fd, CONTROL(UBLK_CMD_SET_PARAMS), argument, "SET_PARAMS");
}

int main(int argc, char** argv) {
  char path[32];

  if (argc != 3)
    return 2;
  const unsigned number = (unsigned)atoi(argv[1]);
  store_bytes = (size_t)atol(argv[2]) << 20;
  store = calloc(1, store_bytes);
  buffers = aligned_alloc(4096, (size_t)kDepth * kBufferBytes);
  const int control_fd = open("/dev/ublk-control", O_RDWR | O_CLOEXEC);
  if (!store || !buffers || control_fd < 0)
    fail("start", errno);

  struct io_uring_params setup = {.flags = IORING_SETUP_SQE128};
  const int error = io_uring_queue_init_params(2 * kDepth, &ring, &setup);
  if (error != 0)
    fail("io_uring", error);
  create(control_fd, number);
  snprintf(path, sizeof path, "/dev/ublkc%u", number);
  device = open(path, O_RDWR | O_CLOEXEC);
  if (device < 0)
    fail(path, errno);
  descriptors = mmap(NULL, kDepth * sizeof *descriptors, PROT_READ, MAP_SHARED | MAP_POPULATE,
                     device, UBLKSRV_CMD_BUF_OFFSET);
  if (descriptors == MAP_FAILED)
    fail("mmap", errno);

  for (unsigned tag = 0; tag < kDepth; tag++)
    fetch(tag, IO(UBLK_IO_FETCH_REQ), 0);
  io_uring_submit(&ring);
  control(control_fd, CONTROL(UBLK_CMD_START_DEV),
          (struct ublksrv_ctrl_cmd){
              .dev_id = number, .queue_id = UINT16_MAX, .data = {(uint64_t)getpid()}});
  for (;;) {
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;

    io_uring_submit_and_wait(&ring, 1);
    io_uring_for_each_cqe(&ring, head, cqe) {
      seen++;
      if (cqe->res < 0)
        fail(cqe->user_data == kControl ? "START_DEV" : "fetch", cqe->res);
      if (cqe->user_data != kControl)
        fetch((unsigned)cqe->user_data, IO(UBLK_IO_COMMIT_AND_FETCH_REQ),
              serve((unsigned)cqe->user_data));
    }
    io_uring_cq_advance(&ring, seen);
  }
}
