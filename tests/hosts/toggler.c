// SPDX-License-Identifier: MIT OR Apache-2.0
// Gives root up and takes it back, many times. toggler COUNT: prints what each round trip cost.
// toggler COUNT signals: a signal handler does it, in the middle of malloc and free.
#include <signal.h>
#include <time.h>

#include "host.h"

enum { kUser = 65534 };

static volatile sig_atomic_t g_left;

static void toggle(int signal) {
  (void)signal;
  if (seteuid(kUser) != 0 || seteuid(0) != 0) {
    _exit(95);
  }
  --g_left;
}

static void print_cost(long count) {
  struct timespec begin;
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long i = 0; i < count; ++i) {
    toggle(0);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  const long long spent =
      (end.tv_sec - begin.tv_sec) * 1000000000LL + (end.tv_nsec - begin.tv_nsec);
  say("nanoseconds %lld\n", spent / count);
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
  expect(count >= 2, "a number");
  const long number = strtol(arguments[1], NULL, 10);
  if (count == 2) {
    print_cost(number);
  } else {
    allocate_under_signals(number);
  }
  return 0;
}
