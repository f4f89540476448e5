// SPDX-License-Identifier: MIT OR Apache-2.0
// Forks in the way its first argument says, and prints what /proc says of each process.
// forker tree|thread|orphan MIB; forker drop|drop-raw UID; forker handler 0.
#define _GNU_SOURCE  // setresuid
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

// Larger than what the kernel maps around one fault, and never read: only a shim that makes the
// constants resident brings it in.
const volatile char kConstants[2 * 1024 * 1024] = {1};

static void dump(const char* who) {
  say("== %s\n", who);
  copy_file("/proc/self/status");
  copy_file("/proc/self/smaps_rollup");
  copy_file("/proc/self/smaps");
}

static void wait_for(pid_t child) {
  int status = 0;
  expect(child > 0 && waitpid(child, &status, 0) == child, "waitpid");
  if (WIFSIGNALED(status)) {
    say("== wait\nsignal %d\n", WTERMSIG(status));
  } else {
    say("== wait\nexit %d\n", WEXITSTATUS(status));
  }
}

static void fork_tree(void) {
  dump("parent");
  const pid_t child = fork();
  if (child == 0) {
    dump("child");
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      dump("grandchild");
      _exit(0);
    }
    wait_for(grandchild);
    _exit(0);
  }
  wait_for(child);
}

static void* fork_in_thread(void* unused) {
  (void)unused;
  fork_tree();
  return NULL;
}

static void fork_from_thread(void) {
  pthread_t thread;
  expect(pthread_create(&thread, NULL, fork_in_thread, NULL) == 0, "pthread_create");
  expect(pthread_join(thread, NULL) == 0, "pthread_join");
}

/// The child speaks once its parent has gone: when the pipe that only the parent holds ends.
static void fork_orphan(void) {
  int alive[2];
  expect(pipe(alive) == 0, "pipe");
  if (fork() != 0) {
    _exit(0);
  }
  close(alive[1]);
  char byte;
  expect(read(alive[0], &byte, 1) == 0, "read");
  dump("child");
}

static char g_stack[64 * 1024];

/// How much of it a child has used until it is back from fork(2).
static void fork_on_own_stack(int signal) {
  (void)signal;
  const pid_t child = fork();
  if (child == 0) {
    size_t untouched = 0;
    while (untouched < sizeof g_stack && g_stack[untouched] == 0x55) {
      ++untouched;
    }
    say("used %d\n", (int)(sizeof g_stack - untouched));
    _exit(0);
  }
  wait_for(child);
}

static void fork_in_handler(void) {
  const stack_t stack = {.ss_sp = g_stack, .ss_size = sizeof g_stack};
  struct sigaction action = {.sa_handler = fork_on_own_stack, .sa_flags = SA_ONSTACK};
  memset(g_stack, 0x55, sizeof g_stack);
  expect(sigaltstack(&stack, NULL) == 0, "sigaltstack");
  expect(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
  expect(raise(SIGUSR1) == 0, "raise");
}

static void* touch(void* block) { return memset(block, 1, kMiB); }

/// A daemon that gives up root, by its C library or past it, and whose child then needs memory.
static void drop_and_allocate(int by_libc, uid_t user) {
  const int answer = by_libc ? setresuid(user, user, user) : raw_setresuid(user);
  expect(answer == 0, "setresuid");
  const pid_t child = fork();
  if (child == 0) {
    char* const block = malloc(100 * kMiB);
    expect(block != NULL, "malloc of 100 MiB");
    memset(block, 1, 100 * kMiB);
    pthread_t thread;
    expect(pthread_create(&thread, NULL, touch, block) == 0, "pthread_create");
    expect(pthread_join(thread, NULL) == 0, "pthread_join");
    say("== child\n");
    copy_file("/proc/self/status");
    _exit(0);
  }
  wait_for(child);
}

int main(int count, char** arguments) {
  expect(count == 3, "two arguments");
  const char* const way = arguments[1];
  const unsigned long number = strtoul(arguments[2], NULL, 10);
  if (strcmp(way, "drop") == 0 || strcmp(way, "drop-raw") == 0) {
    drop_and_allocate(strcmp(way, "drop") == 0, (uid_t)number);
    return 0;
  }
  if (strcmp(way, "handler") == 0) {
    fork_in_handler();
    return 0;
  }
  char* const ballast = malloc(number * kMiB + 1);
  expect(ballast != NULL, "ballast");
  memset(ballast, 1, number * kMiB + 1);
  if (strcmp(way, "tree") == 0) {
    fork_tree();
  } else if (strcmp(way, "thread") == 0) {
    fork_from_thread();
  } else {
    expect(strcmp(way, "orphan") == 0, "a way to fork");
    fork_orphan();
  }
  return kConstants[0] - 1 + (ballast[0] - 1);
}
