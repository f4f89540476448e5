// SPDX-License-Identifier: MIT OR Apache-2.0
// What a daemon may do with the descriptor of a store, each seen to come out as without the
// library: behaviour CASE FILE. Says on stdout what did not.
#define _GNU_SOURCE
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

static void expect_at(int line, int holds, const char* what) {
  if (!holds) {
    printf("line %d: %s (%s)\n", line, what, strerror(errno));
    ++failures;
  }
}
#define EXPECT(condition) expect_at(__LINE__, (condition), #condition)
#define EXPECT_ERROR(call, expected) expect_at(__LINE__, (call) == -1 && errno == (expected), #call)

enum { kSize = 10000 };

/// As the kernel has it, whatever fcntl says.
static int is_direct(int fd) {
  char path[64], line[64];
  unsigned long flags = 0;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  FILE* const file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "flags:", 6) == 0) {
      flags = strtoul(line + 6, NULL, 8);
    }
  }
  if (file != NULL) {
    fclose(file);
  }
  return (flags & O_DIRECT) != 0;
}

static char pattern(long offset) { return (char)(offset * 7 + offset / 251); }

/// `size` bytes of the pattern are at `offset`.
static int has_pattern(int fd, long offset, size_t size) {
  char bytes[kSize];
  if (pread(fd, bytes, size, offset) != (ssize_t)size) {
    return 0;
  }
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] != pattern(offset + (long)i)) {
      return 0;
    }
  }
  return 1;
}

static int put_pattern(int fd, long offset, size_t size) {
  char bytes[kSize];
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = pattern(offset + (long)i);
  }
  return pwrite(fd, bytes, size, offset) == (ssize_t)size;
}

/// Each call has another part of the file, neither end of which is that of a block.
static int serves(int fd) {
  static long offset = 1;
  offset = (offset + 777) % (kSize - 700);
  return put_pattern(fd, offset, 601) && has_pattern(fd, offset, 601);
}

static int open_store(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  EXPECT(fd >= 0 && ftruncate(fd, kSize) == 0);
  EXPECT(is_direct(fd));
  EXPECT((fcntl(fd, F_GETFL) & O_DIRECT) == 0);
  return fd;
}

static void duplicates(int fd) {
  const int copies[] = {dup(fd), dup2(fd, 100), dup3(fd, 101, O_CLOEXEC), fcntl(fd, F_DUPFD, 102),
                        fcntl(fd, F_DUPFD_CLOEXEC, 103),
                        // As seen by nobody: found by the kernel's refusal.
                        (int)syscall(SYS_dup, fd)};
  for (size_t i = 0; i < sizeof copies / sizeof *copies; ++i) {
    EXPECT(is_direct(copies[i]) && serves(copies[i]));
  }
  for (size_t i = 0; i < sizeof copies / sizeof *copies; ++i) {
    EXPECT(close(copies[i]) == 0);
  }
  EXPECT(serves(fd));
}

static int pipe_works(int from, int to) {
  char bytes[3] = "";
  return write(to, "ab", 2) == 2 && read(from, bytes, 3) == 2 && strcmp(bytes, "ab") == 0;
}

/// Numbers that were a store's are somebody else's next.
static void reuse(const char* path) {
  for (int raw = 0; raw < 2; ++raw) {
    int ends[2];
    const int a = open(path, O_RDWR), b = open(path, O_RDWR);
    EXPECT(serves(a) && serves(b));
    EXPECT((raw ? (int)syscall(SYS_close, a) : close(a)) == 0);
    EXPECT((raw ? (int)syscall(SYS_close, b) : close(b)) == 0);
    EXPECT(pipe(ends) == 0 && ends[0] == a && ends[1] == b);
    EXPECT(pipe_works(ends[0], ends[1]));
    EXPECT_ERROR(pread(ends[0], ends, 1, 0), ESPIPE);
    EXPECT_ERROR(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
    close(ends[0]);
    close(ends[1]);
  }
  const int fd = open(path, O_RDWR);
  unsigned long long number = 5;
  EXPECT(serves(fd) && syscall(SYS_close, fd) == 0);
  EXPECT(eventfd(0, EFD_NONBLOCK) == fd);
  EXPECT_ERROR(read(fd, &number, sizeof number), EAGAIN);
  EXPECT(write(fd, &number, sizeof number) == 8 && read(fd, &number, sizeof number) == 8);
  close(fd);
  // A duplicate onto a store, and of a store onto something else.
  const int store = open(path, O_RDWR), other = open("/dev/null", O_RDWR);
  char byte;
  EXPECT(dup2(other, store) == store && read(store, &byte, 1) == 0);
  close(store);
  close(other);
}

static long locked_kib(void) {
  char line[128];
  long kib = -1;
  FILE* const status = fopen("/proc/self/status", "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, "VmLck:", 6) == 0) {
      kib = atol(line + 6);
    }
  }
  if (status != NULL) {
    fclose(status);
  }
  return kib;
}

/// The descriptor, its position and the buffers in a child.
static void forks(int fd) {
  int status = -1;
  EXPECT(lseek(fd, 100, SEEK_SET) == 100);
  EXPECT(locked_kib() >= 4096);
  const pid_t child = fork();
  if (child == 0) {
    EXPECT(is_direct(fd) && locked_kib() >= 4096 && serves(fd));
    EXPECT(write(fd, "child", 5) == 5);
    _exit(failures);
  }
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  char bytes[6] = "";
  EXPECT(lseek(fd, 0, SEEK_CUR) == 105);
  EXPECT(pread(fd, bytes, 5, 100) == 5 && strcmp(bytes, "child") == 0);
}

/// A child that shares this memory, and closes what it does not need before its exec.
static void vforks(int fd, const char* path) {
  int status = -1;
  (void)path;
  const pid_t child = vfork();
  if (child == 0) {
    close(fd);
    execl("/bin/true", "true", (char*)NULL);
    _exit(127);
  }
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(serves(fd));
}

static void flags(int fd, const char* path) {
  EXPECT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND) == 0);
  EXPECT((fcntl(fd, F_GETFL) & (O_APPEND | O_DIRECT)) == O_APPEND && is_direct(fd));
  EXPECT(write(fd, "end", 3) == 3 && lseek(fd, 0, SEEK_CUR) == kSize + 3);
  EXPECT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_APPEND) == 0 && is_direct(fd));
  EXPECT(ftruncate(fd, kSize) == 0 && serves(fd));
  const int asked = open(path, O_RDWR | O_DIRECT);
  EXPECT((fcntl(asked, F_GETFL) & O_DIRECT) != 0 && serves(asked));
  close(asked);
  const int only = open(path, O_WRONLY);
  EXPECT(put_pattern(only, 5001, 700) && has_pattern(fd, 5001, 700) && is_direct(only));
  close(only);
}

/// Where there is one that is larger than another: to, from, and between two stores' descriptors.
static void copies(int fd, const char* path) {
  char bytes[kSize], name[4096];
  int pair[2], ends[2];
  off_t from = 3, to = 5;
  EXPECT(put_pattern(fd, 0, kSize));
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(ends) == 0);
  EXPECT(sendfile(pair[0], fd, &from, 6000) == 6000 && from == 6003);
  EXPECT(recv(pair[1], bytes, sizeof bytes, MSG_WAITALL | MSG_DONTWAIT) == 6000);
  EXPECT(bytes[0] == pattern(3) && bytes[5999] == pattern(6002));
  EXPECT(lseek(fd, 7, SEEK_SET) == 7 && sendfile(pair[0], fd, NULL, 100) == 100);
  EXPECT(lseek(fd, 0, SEEK_CUR) == 107 && recv(pair[1], bytes, sizeof bytes, 0) == 100);
  EXPECT(bytes[0] == pattern(7));
  from = 9;
  EXPECT(splice(fd, &from, ends[1], NULL, 2000, 0) == 2000 && from == 2009);
  EXPECT(splice(ends[0], NULL, fd, &to, 2000, 0) == 2000 && to == 2005);
  EXPECT(pread(fd, bytes, 2000, 5) == 2000 && bytes[0] == pattern(9) &&
         bytes[1999] == pattern(2008));
  EXPECT_ERROR(splice(ends[0], NULL, fd, &to, 1, SPLICE_F_NONBLOCK), EAGAIN);
  snprintf(name, sizeof name, "%s.copy", path);
  const int other = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  EXPECT(put_pattern(fd, 0, kSize));
  from = 11, to = 0;
  EXPECT(copy_file_range(fd, &from, other, &to, kSize, 0) == kSize - 11 && to == kSize - 11);
  EXPECT(pread(other, bytes, 1, 1) == 1 && bytes[0] == pattern(12));
  from = 1, to = 2;
  EXPECT(copy_file_range(other, &from, fd, &to, 500, 0) == 500);
  EXPECT(pread(fd, bytes, 1, 2) == 1 && bytes[0] == pattern(12));
  EXPECT_ERROR(copy_file_range(fd, &from, fd, &to, 5, 1), EINVAL);
  close(other);
  unlink(name);
}

static void errors(int fd, const char* path) {
  char byte = 0;
  const struct iovec nothing[] = {{NULL, 0}, {&byte, 1}, {NULL, 0}};
  const int reader = open(path, O_RDONLY), writer = open(path, O_WRONLY);
  EXPECT_ERROR(pread(fd, &byte, 1, -1), EINVAL);
  EXPECT_ERROR(pwrite(fd, &byte, 1, -5), EINVAL);
  // Not constants, which the compiler would know better of.
  volatile int negative = -1, too_many = 1025;
  EXPECT_ERROR(readv(fd, nothing, negative), EINVAL);
  EXPECT_ERROR(pwritev(fd, nothing, too_many, 0), EINVAL);
  EXPECT_ERROR(lseek(fd, -1, SEEK_SET), EINVAL);
  EXPECT_ERROR(write(reader, &byte, 1), EBADF);
  EXPECT_ERROR(read(writer, &byte, 1), EBADF);
  EXPECT_ERROR(ftruncate(fd, -1), EINVAL);
  EXPECT_ERROR(fallocate(fd, 0, 0, 0), EINVAL);
  EXPECT(posix_fallocate(fd, -1, 1) == EINVAL);
  EXPECT_ERROR(read(-1, &byte, 1), EBADF);
  EXPECT_ERROR(fcntl(-1, F_GETFL), EBADF);
  EXPECT(read(fd, &byte, 0) == 0 && write(fd, &byte, 0) == 0);
  EXPECT(pread(fd, &byte, 1, kSize) == 0 && pread(fd, &byte, 1, 1L << 40) == 0);
  EXPECT(lseek(fd, 1234, SEEK_SET) == 1234 && readv(fd, nothing, 3) == 1);
  EXPECT(lseek(fd, 0, SEEK_CUR) == 1235);
  EXPECT(writev(fd, nothing, 3) == 1 && lseek(fd, 0, SEEK_CUR) == 1236);
  EXPECT(posix_fallocate(fd, 0, kSize + 1) == 0 && lseek(fd, 0, SEEK_END) == kSize + 1);
  EXPECT(ftruncate(fd, kSize) == 0);
  close(reader);
  close(writer);
}

/// A page that was read through a mapping follows what is written past it.
static void mapping(int fd) {
  EXPECT(put_pattern(fd, 0, kSize));
  const char* const mapped = mmap(NULL, kSize, PROT_READ, MAP_PRIVATE, fd, 0);
  EXPECT(mapped != MAP_FAILED && mapped[5000] == pattern(5000));
  EXPECT(pwrite(fd, "mapped", 6, 5000) == 6 && memcmp(mapped + 5000, "mapped", 6) == 0);
  EXPECT(munmap((void*)mapped, kSize) == 0 && is_direct(fd));
}

static void written_mapping(int fd, const char* path) {
  const int copy = dup(fd), unseen = (int)syscall(SYS_dup, open(path, O_RDWR));
  char bytes[3] = "";
  char* const mapped = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  EXPECT(mapped != MAP_FAILED && !is_direct(fd) && !is_direct(copy));
  memcpy(mapped + 99, "ab", 2);
  EXPECT(pread(copy, bytes, 2, 99) == 2 && strcmp(bytes, "ab") == 0);
  EXPECT(pwrite(fd, "cd", 2, 101) == 2 && memcmp(mapped + 99, "abcd", 4) == 0);
  EXPECT(serves(fd) && serves(copy));
  // From then on, whoever opens it.
  const int late = open(path, O_RDWR);
  EXPECT(!is_direct(late) && serves(late) && serves(unseen) && !is_direct(unseen));
}

static void stream(int fd) {
  const int copy = dup(fd);
  FILE* const file = fdopen(fd, "r+");
  EXPECT(file != NULL && !is_direct(copy));
  EXPECT(fseek(file, 33, SEEK_SET) == 0 && fputs("stream", file) >= 0 && fflush(file) == 0);
  char bytes[7] = "";
  EXPECT(pread(copy, bytes, 6, 33) == 6 && strcmp(bytes, "stream") == 0 && serves(copy));
  EXPECT(fclose(file) == 0);
}

static int waited_for(struct aiocb* request) {
  const struct aiocb* const list[] = {request};
  while (aio_error(request) == EINPROGRESS) {
    aio_suspend(list, 1, NULL);
  }
  return aio_error(request) == 0 ? (int)aio_return(request) : -1;
}

static void asynchronous(int fd) {
  char bytes[6] = "", text[] = "a1b2c";
  struct aiocb request = {.aio_fildes = fd, .aio_offset = 77, .aio_buf = text, .aio_nbytes = 5};
  EXPECT(aio_write(&request) == 0 && waited_for(&request) == 5 && !is_direct(fd));
  request.aio_buf = bytes;
  EXPECT(aio_read(&request) == 0 && waited_for(&request) == 5 && strcmp(bytes, text) == 0);
  EXPECT(serves(fd));
}

int main(int count, char** arguments) {
  if (count != 3) {
    fputs("usage: behaviour CASE FILE\n", stderr);
    return 2;
  }
  const char* const path = arguments[2];
  if (strcmp(arguments[1], "inherited") == 0) {
    EXPECT(is_direct(STDIN_FILENO) && serves(STDIN_FILENO));
    return failures != 0;
  }
  if (strcmp(arguments[1], "cached") == 0) {
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    EXPECT(ftruncate(fd, kSize) == 0 && serves(fd) && !is_direct(fd));
    return failures != 0;
  }
  const int fd = open_store(path);
  if (strcmp(arguments[1], "written-mapping") == 0) {
    written_mapping(fd, path);
  } else if (strcmp(arguments[1], "asynchronous") == 0) {
    asynchronous(fd);
  } else if (strcmp(arguments[1], "stream") == 0) {
    stream(fd);
  } else {
    duplicates(fd);
    reuse(path);
    forks(fd);
    vforks(fd, path);
    flags(fd, path);
    copies(fd, path);
    errors(fd, path);
    mapping(fd);
  }
  return failures != 0;
}
