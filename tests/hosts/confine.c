// SPDX-License-Identifier: MIT OR Apache-2.0
// A daemon that confines itself once it runs: no locking, and death for whoever tries.
// confine prctl|syscall fork|drop|both.
#define _GNU_SOURCE  // syscall
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host.h"

// linux/seccomp.h and linux/filter.h, which musl's compiler does not find.
struct Instruction {
  unsigned short code;
  unsigned char if_true, if_false;
  unsigned value;
};
struct Program {
  unsigned short count;
  struct Instruction* filter;
};
enum { kLoad = 0x20, kJumpIfEqual = 0x15, kReturn = 0x06, kSetModeFilter = 1, kModeFilter = 2 };
#define KILL_FOR(number) \
  {kJumpIfEqual, 0, 1, number}, { kReturn, 0, 0, 0x80000000U }

static void confine(const char* way) {
  struct Instruction instructions[] = {{kLoad, 0, 0, 0},
                                       KILL_FOR(SYS_mlockall),
                                       KILL_FOR(SYS_munlockall),
                                       KILL_FOR(SYS_mlock2),
                                       KILL_FOR(SYS_munlock),
                                       KILL_FOR(SYS_mincore),
                                       KILL_FOR(SYS_ppoll),
                                       KILL_FOR(SYS_capget),
                                       KILL_FOR(SYS_sched_setscheduler),
                                       {kReturn, 0, 0, 0x7fff0000U}};
  struct Program program = {sizeof instructions / sizeof *instructions, instructions};
  expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
  if (strcmp(way, "prctl") == 0) {
    expect(prctl(PR_SET_SECCOMP, kModeFilter, &program) == 0, "PR_SET_SECCOMP");
  } else {
    expect(syscall(SYS_seccomp, kSetModeFilter, 0, &program) == 0, "seccomp");
  }
}

static void fork_and_work(void) {
  const pid_t child = fork();
  if (child == 0) {
    char* const block = malloc(1 << 20);
    expect(block != NULL, "malloc");
    memset(block, 1, 1 << 20);
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      _exit(7);
    }
    int status = 0;
    expect(waitpid(grandchild, &status, 0) == grandchild, "waitpid of the grandchild");
    _exit(WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 7 : 8);
  }
  int status = 0;
  expect(child > 0 && waitpid(child, &status, 0) == child, "waitpid");
  say("child %#x\n", (unsigned)status);
}

int main(int count, char** arguments) {
  expect(count == 3, "two arguments");
  const char* const what = arguments[2];
  confine(arguments[1]);
  if (strcmp(what, "fork") != 0) {
    expect(setuid(65534) == 0, "setuid");
  }
  if (strcmp(what, "drop") != 0) {
    fork_and_work();
  }
  say("done\n");
  return 0;
}
