// SPDX-License-Identifier: MIT OR Apache-2.0
// Gives root up and takes it back, many times.
// toggler COUNT work|signals; signals: a handler does it, in the middle of malloc and free.
#include <signal.h>
#include <time.h>

#include "workload.h"

enum { kUser = 65534 };

static volatile sig_atomic_t g_left;

static void toggle(int signal) {
  (void)signal;
  if (seteuid(kUser) != 0 || seteuid(0) != 0) {
    _exit(95);
  }
  --g_left;
}

/// With what a daemon needs once root is given up, and once more when it is back.
static void work_after(long count) {
  for (long i = 0; i < count; ++i) {
    toggle(0);
  }
  expect(seteuid(kUser) == 0, "seteuid");
  allocate();
  say("dropped %d\n", recurse(7 * 16));
  expect(seteuid(0) == 0, "seteuid back");
  allocate();
  say("back\n");
  copy_file("/proc/self/status");
}

static void allocate_under_signals(long count) {
  const struct sigaction action = {.sa_handler = toggle, .sa_flags = SA_RESTART};
  const struct timespec often = {.tv_sec = 0, .tv_nsec = 1000000};
  const struct itimerspec period = {often, often};
  timer_t timer;
  g_left = (sig_atomic_t)count;
  expect(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
  expect(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0, "timer_create");
  expect(timer_settime(timer, 0, &period, NULL) == 0, "timer_settime");
  for (size_t size = 1; g_left > 0; size = size * 3 % 999983) {
    char* const block = malloc(size + 1);
    expect(block != NULL, "malloc");
    block[size] = 1;
    free(block);
  }
  expect(timer_delete(timer) == 0, "timer_delete");
  say("survived\n");
}

int main(int count, char** arguments) {
  expect(count == 3, "a number, and what to do");
  const long number = strtol(arguments[1], NULL, 10);
  if (strcmp(arguments[2], "work") == 0) {
    work_after(number);
  } else {
    allocate_under_signals(number);
  }
  return 0;
}
