// SPDX-License-Identifier: MIT OR Apache-2.0
// All the ways in which a daemon needs memory; each step says so once it has it.
#ifndef DUENDE_MLOCK_TESTS_WORKLOAD_H
#define DUENDE_MLOCK_TESTS_WORKLOAD_H

#include <pthread.h>
#include <sys/syscall.h>

#include "host.h"

enum { kThreads = 8, kMiB = 1024 * 1024 };

static inline void allocate(void) {
  char* const block = malloc(100UL * kMiB);
  expect(block != NULL, "malloc of 100 MiB");
  memset(block, 1, 100UL * kMiB);
  free(block);
  say("allocated\n");
}

// The frame escapes, or a compiler makes a loop of it.
__attribute__((noinline, unused)) static int recurse(int depth) {
  static volatile char* volatile escaped;
  volatile char frame[64 * 1024];
  escaped = frame;
  memset((char*)escaped, depth, sizeof frame);
  return depth == 0 ? frame[0] : recurse(depth - 1) + frame[sizeof frame - 1];
}

static inline void* serve(void* unused) {
  (void)unused;
  char* const block = malloc(kMiB);
  if (block == NULL) {
    return NULL;
  }
  memset(block, 1, kMiB);
  return block;
}

static inline void start_threads(void) {
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

static inline void reallocate(void) {
  char* block = NULL;
  for (size_t size = 1; size <= 64UL * kMiB; size *= 4) {
    block = realloc(block, size);
    expect(block != NULL, "realloc");
    memset(block, 1, size);
  }
  free(block);
  say("reallocated\n");
}

// musl's sbrk refuses whatever is asked, and the C library's own idea of the break is left alone.
static inline void extend_break(void) {
  const long before = syscall(SYS_brk, 0);
  const long wanted = before + 16L * kMiB;
  expect(syscall(SYS_brk, wanted) == wanted, "brk");
  memset((char*)before, 1, 16UL * kMiB);
  expect(syscall(SYS_brk, before) == before, "brk back");
  say("extended\n");
}

static inline void use_memory(void) {
  allocate();
  say("recursed %d\n", recurse(7 * 16));
  start_threads();
  reallocate();
  extend_break();
}

/// Without libc, as a runtime that has system calls of its own.
__attribute__((unused)) static int raw_setresuid(uid_t user) {
#if defined(__x86_64__)
  register long result __asm__("rax") = SYS_setresuid;
  __asm__ volatile("syscall"
                   : "+r"(result)
                   : "D"((long)user), "S"((long)user), "d"((long)user)
                   : "rcx", "r11", "memory");
  return result == 0 ? 0 : -1;
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_setresuid;
  register long result __asm__("x0") = (long)user;
  register long effective __asm__("x1") = (long)user;
  register long saved __asm__("x2") = (long)user;
  __asm__ volatile("svc #0" : "+r"(result) : "r"(number), "r"(effective), "r"(saved) : "memory");
  return result == 0 ? 0 : -1;
#else
  return (int)syscall(SYS_setresuid, user, user, user);
#endif
}

#endif
