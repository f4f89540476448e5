// SPDX-License-Identifier: MIT OR Apache-2.0
// A daemon that does all day what daemons do to memory: it forks children, starts
// and ends threads, and allocates and frees.  Its steady state is constant: what
// grows under the library is the library's leak.
//
// A process that is up calls itself "soak": a child does so after fork() has
// returned, when the library has had its chance to lock it.
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kChildren = 3, kThreads = 4, kBlocks = 64, kLargest = 64 << 10 };

static uint32_t next(uint32_t* state)  // a small generator; quality is no matter
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static void* allocate_and_free(void* seed) {
  uint32_t state = (uint32_t)(uintptr_t)seed;
  void* block[kBlocks] = {0};

  for (int i = 0; i < 20 * kBlocks; i++) {
    void** slot = &block[next(&state) % kBlocks];
    const size_t bytes = 1 + next(&state) % kLargest;
    free(*slot);
    *slot = malloc(bytes);
    if (!*slot)
      abort();  // an allocation may never fail here
    memset(*slot, (int)state, bytes);
  }
  for (int i = 0; i < kBlocks; i++)
    free(block[i]);
  return NULL;
}

static void run_threads(uint32_t seed) {
  pthread_t thread[kThreads];

  for (int i = 0; i < kThreads; i++)
    if (pthread_create(&thread[i], NULL, allocate_and_free, (void*)(uintptr_t)(seed + (uint32_t)i)))
      abort();
  for (int i = 0; i < kThreads; i++)
    pthread_join(thread[i], NULL);
}

static void start_child(uint32_t seed) {
  // Under another name until the fork is over: the child inherits it, and is
  // not to be judged before it is up.
  prctl(PR_SET_NAME, "soak-fork");
  const pid_t pid = fork();
  prctl(PR_SET_NAME, "soak");
  if (pid < 0)
    abort();
  if (pid > 0)
    return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < 5; i++) {
    run_threads(seed + (uint32_t)i);
    usleep(200000);
  }
  _exit(0);
}

int main(void) {
  uint32_t seed = 1;

  for (int i = 0; i < kChildren; i++)
    start_child(seed += 1000);
  for (;;) {
    int status;

    if (wait(&status) < 0 || status != 0)
      return 1;  // a child that broke ends the soak
    run_threads(seed);
    start_child(seed += 1000);
  }
}
