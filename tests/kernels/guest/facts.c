// SPDX-License-Identifier: MIT OR Apache-2.0
// What the sources and the README say of kernels, `since Linux X`: each is tried, and is to be
// there from that release on and not before. Reports in the Test Anything Protocol.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  kMadvFree = 8,
  kMadvCold = 20,
  kMadvPageout = 21,
  kMadvPopulateRead = 22,
  kMadvDontneedLocked = 24,
  kPrSetIoFlusher = 57,
  kRwfAppend = 0x10,
};

static size_t page;

static char* map(int protection, size_t pages) {
  char* const space = mmap(NULL, pages * page, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (space == MAP_FAILED) {
    perror("mmap");
    exit(2);
  }
  return space;
}

// No length asks whether the kernel knows the advice.
static bool knows_advice(int advice) { return madvise(map(PROT_READ, 1), 0, advice) == 0; }

static bool onfault(void) {
  const bool had = mlockall(MCL_CURRENT | MCL_ONFAULT) == 0;

  munlockall();
  return had;
}

static bool madv_free(void) { return knows_advice(kMadvFree); }
static bool madv_cold(void) { return knows_advice(kMadvCold) && knows_advice(kMadvPageout); }
static bool madv_populate(void) { return knows_advice(kMadvPopulateRead); }

// Not only known: what is given up reads as zeros, and stays locked.
static bool dontneed_locked(void) {
  char* const space = map(PROT_READ | PROT_WRITE, 1);

  *space = 1;
  return mlock(space, page) == 0 && madvise(space, page, MADV_DONTNEED) == -1 &&
         madvise(space, page, kMadvDontneedLocked) == 0 && *space == 0 &&
         madvise(space, page, MADV_DONTNEED) == -1;
}

static bool preadv2_known(void) {
  char byte;
  const struct iovec into = {&byte, 1};
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const bool known = syscall(SYS_preadv2, file, &into, 1, 0, 0, 0) == 1;

  close(file);
  return known;
}

static bool append_flag(void) {
  const struct iovec from = {"x", 1};
  char name[] = "/tmp/append-XXXXXX";
  const int file = mkstemp(name);
  const bool known = syscall(SYS_pwritev2, file, &from, 1, 0, 0, kRwfAppend) == 1;

  close(file);
  unlink(name);
  return known;
}

// Asked of a child: it is inherited and never given back by itself.
static bool io_flusher(void) {
  const pid_t child = fork();
  int status = 0;

  if (child == 0)
    _exit(prctl(kPrSetIoFlusher, 1, 0, 0, 0) == 0 ? 0 : 1);
  return waitpid(child, &status, 0) == child && status == 0;
}

// What may not be read is locked in all of them; populating it fails, and before on-fault locks
// populated as well.
static bool locks_unreadable(void) {
  char* const space = map(PROT_NONE, 1);
  const bool holds = syscall(SYS_mlock2, space, page, 1 /* MLOCK_ONFAULT */) == 0;

  if ((!holds && errno != ENOMEM) || madvise(space, page, MADV_DONTNEED) == 0 || errno != EINVAL) {
    printf("not ok - PROT_NONE memory is locked, whatever mlock2 answers\n");
    exit(1);
  }
  return holds;
}

static const struct fact {
  const char* name;
  int major, minor;
  bool (*holds)(void);
} facts[] = {
    {"MCL_ONFAULT", 4, 4, onfault},
    {"MADV_FREE", 4, 5, madv_free},
    {"preadv2", 4, 6, preadv2_known},
    {"RWF_APPEND", 4, 16, append_flag},
    {"MADV_COLD and MADV_PAGEOUT", 5, 4, madv_cold},
    {"PR_SET_IO_FLUSHER", 5, 6, io_flusher},
    {"MADV_POPULATE_READ", 5, 14, madv_populate},
    {"MADV_DONTNEED_LOCKED", 5, 18, dontneed_locked},
    {"mlock2 of PROT_NONE answers 0", 5, 18, locks_unreadable},
};

int main(void) {
  struct utsname system;
  int major = 0;
  int minor = 0;

  page = (size_t)sysconf(_SC_PAGESIZE);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (uname(&system) != 0 || sscanf(system.release, "%d.%d", &major, &minor) != 2)
    return 2;
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    const struct fact* fact = &facts[i];
    const bool expected = major > fact->major || (major == fact->major && minor >= fact->minor);
    const bool holds = fact->holds();

    printf("%s - %s, since Linux %d.%d: %s in %d.%d\n", holds == expected ? "ok" : "not ok",
           fact->name, fact->major, fact->minor, holds ? "there" : "not there", major, minor);
  }
  return 0;
}
