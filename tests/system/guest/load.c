// SPDX-License-Identifier: MIT OR Apache-2.0
#include "load.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

enum { kPage = 4096, kWords = kPage / sizeof(uint64_t), kPagesAtOnce = 8 };

// What page `index` holds in a given cycle: differs by worker, page and cycle,
// so that a page swapped in from the wrong place or time is noticed.
static uint64_t pattern(int me, uint64_t cycle, size_t index) {
  return (cycle << 40) ^ (index * 0x9e3779b97f4a7c15u) ^ (uint64_t)me;
}

static void work(struct progress* progress, int me, size_t pages, unsigned rest_us) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  put("/sys/fs/cgroup/load/cgroup.procs", "0");
  put("/proc/self/oom_score_adj", "1000");  // rather these than anything else

  unsigned char* memory =
      mmap(NULL, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    _exit(1);
  for (uint64_t cycle = 1;; cycle++)
    for (size_t i = 0; i < pages; i++) {
      uint64_t* word = (uint64_t*)(memory + i * kPage);
      const uint64_t was = pattern(me, cycle - 1, i), is = pattern(me, cycle, i);
      if (cycle > 1 && (word[0] != was || word[kWords - 1] != ~was))
        progress->worker[me].corrupt++;
      word[0] = is;
      word[kWords - 1] = ~is;
      progress->worker[me].touched++;
      if (rest_us != 0 && i % kPagesAtOnce == 0)
        usleep(rest_us);
    }
}

static pid_t start_worker(struct progress* progress, int me, size_t pages, unsigned rest_us) {
  const pid_t pid = fork();

  if (pid == 0)
    work(progress, me, pages, rest_us);
  return pid;
}

void load_start(struct progress* progress, int workers, long mib, unsigned rest_us) {
  const size_t pages = (size_t)mib * 256 / (size_t)workers;
  pid_t pid[kMaxWorkers];

  if (workers < 1 || workers > kMaxWorkers)
    exit(2);
  const pid_t keeper = fork();
  if (keeper < 0)
    exit(1);
  if (keeper > 0)
    return;
  // The keeper: a process of its own, so that the judge itself never forks
  // once memory is short.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  put("/proc/self/oom_score_adj", "-1000");  // with it, the workers would go
  for (int i = 0; i < workers; i++)
    pid[i] = start_worker(progress, i, pages, rest_us);
  for (;;) {
    const pid_t gone = wait(NULL);
    for (int i = 0; i < workers; i++)
      if (pid[i] == gone)
        pid[i] = start_worker(progress, i, pages, rest_us);
    if (gone < 0)
      sleep(1);
  }
}

uint64_t load_touched(const struct progress* progress) {
  uint64_t sum = 0;

  for (int i = 0; i < kMaxWorkers; i++)
    sum += progress->worker[i].touched;
  return sum;
}

uint64_t load_corrupt(const struct progress* progress) {
  uint64_t sum = 0;

  for (int i = 0; i < kMaxWorkers; i++)
    sum += progress->worker[i].corrupt;
  return sum;
}
