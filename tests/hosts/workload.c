// SPDX-License-Identifier: MIT OR Apache-2.0
// Needs memory in every way a daemon does, in itself and in a forked child, and says so.
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host.h"

enum { kThreads = 8 };
static const size_t kMiB = 1024 * 1024;

static void allocate(void) {
  char* const block = malloc(100 * kMiB);
  expect(block != NULL, "malloc of 100 MiB");
  memset(block, 1, 100 * kMiB);
  free(block);
  say("allocated\n");
}

__attribute__((noinline)) static int recurse(int depth) {
  volatile char frame[64 * 1024];
  memset((char*)frame, depth, sizeof frame);
  return depth == 0 ? frame[0] : recurse(depth - 1) + frame[sizeof frame - 1];
}

static void* serve(void* unused) {
  (void)unused;
  char* const block = malloc(kMiB);
  if (block == NULL) {
    return NULL;
  }
  memset(block, 1, kMiB);
  return block;
}

static void start_threads(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    expect(pthread_create(&threads[i], NULL, serve, NULL) == 0, "pthread_create");
  }
  for (int i = 0; i < kThreads; ++i) {
    void* block = NULL;
    expect(pthread_join(threads[i], &block) == 0 && block != NULL, "malloc in a thread");
    free(block);
  }
  say("served\n");
}

static void reallocate(void) {
  char* block = NULL;
  for (size_t size = 1; size <= 64 * kMiB; size *= 4) {
    block = realloc(block, size);
    expect(block != NULL, "realloc");
    memset(block, 1, size);
  }
  free(block);
  say("reallocated\n");
}

// musl's sbrk refuses whatever is asked, and the C library's own idea of the break is left alone.
static void extend_break(void) {
  const long before = syscall(SYS_brk, 0);
  const long wanted = before + (long)(16 * kMiB);
  expect(syscall(SYS_brk, wanted) == wanted, "brk");
  memset((char*)before, 1, 16 * kMiB);
  expect(syscall(SYS_brk, before) == before, "brk back");
  say("extended\n");
}

static void use_memory(void) {
  allocate();
  say("recursed %d\n", recurse(7 * 16));
  start_threads();
  reallocate();
  extend_break();
}

int main(void) {
  use_memory();
  const pid_t child = fork();
  expect(child >= 0, "fork");
  if (child == 0) {
    use_memory();
    _exit(7);
  }
  int status = 0;
  expect(waitpid(child, &status, 0) == child, "waitpid");
  say("child %#x\n", (unsigned)status);
  use_memory();
  return 3;
}
