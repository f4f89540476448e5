// SPDX-License-Identifier: MIT OR Apache-2.0
// Signals, waits and a timer, until its stdin ends: says "ok" if none was lost, and no call failed
// that nothing but a stop could make fail.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic int stopping;

static void must(int good, const char* what) {
  if (!good) {
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
  }
}

static long long nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// ---- a timer: each of its expirations is a signal or an overrun

enum { kPeriod = 200 * 1000 };  // ns
static timer_t timer;
static volatile long long expirations;
static void on_timer(int signal) {
  (void)signal;
  expirations += 1 + timer_getoverrun(timer);
}

static long long start_timer(void) {
  const struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  must(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0, "timer_create");
  const struct itimerspec often = {{0, kPeriod}, {0, kPeriod}};
  timer_settime(timer, 0, &often, NULL);
  return nanoseconds();
}

static void judge_timer(long long begin) {
  const struct itimerspec never = {{0, 0}, {0, 0}};
  const long long before = nanoseconds() - begin;
  timer_settime(timer, 0, &never, NULL);
  const long long after = nanoseconds() - begin;
  must(expirations >= before / kPeriod - 1 && expirations <= after / kPeriod + 1,
       "expirations of the timer were lost");
}

// ---- queued signals: from a child, numbered

static volatile int next_number;
static volatile int gaps;
static int answers[2];
static void on_number(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)context;
  const int saved = errno;
  gaps += info->si_value.sival_int != next_number++;
  if (write(answers[1], "", 1) != 1) {
    ++gaps;
  }
  errno = saved;
}

static pid_t start_sender(void) {
  const struct sigaction action = {.sa_sigaction = on_number, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigaction(SIGRTMIN, &action, NULL);
  must(pipe(answers) == 0, "pipe");
  const pid_t to = getpid();
  const pid_t child = fork();
  if (child == 0) {
    close(answers[1]);
    char byte;
    for (int number = 0;; ++number) {
      const union sigval value = {.sival_int = number};
      if (sigqueue(to, SIGRTMIN, value) != 0 || read(answers[0], &byte, 1) != 1) {
        _exit(number < 100);  // the program has ended
      }
    }
  }
  return child;
}

// ---- threads that no signal comes to: nothing interrupts what they wait in

static int ends[2][2];

static void* echo(void* unused) {
  char byte;
  struct epoll_event event = {.events = EPOLLIN};
  const int set = epoll_create1(0);
  epoll_ctl(set, EPOLL_CTL_ADD, ends[0][0], &event);
  for (;;) {
    must(epoll_wait(set, &event, 1, -1) == 1, "epoll_wait");
    if (read(ends[0][0], &byte, 1) != 1) {
      return unused;
    }
    must(write(ends[1][1], &byte, 1) == 1, "write");
  }
}

static void* call(void* unused) {
  char byte = 0;
  for (unsigned long round = 0; !stopping; ++round) {
    must(write(ends[0][1], &byte, 1) == 1, "write");
    struct pollfd answer = {.fd = ends[1][0], .events = POLLIN};
    must(round % 2 == 0 || poll(&answer, 1, 10000) == 1, "poll");
    must(read(ends[1][0], &byte, 1) == 1, "read");
    const struct timespec pause = {0, 50000};
    const long long begin = nanoseconds();
    must(nanosleep(&pause, NULL) == 0, "nanosleep");
    must(nanoseconds() - begin >= 50000, "nanosleep was short");
  }
  close(ends[0][1]);
  return unused;
}

static void* compute(void* unused) {
  while (!stopping) {
    double sum = 0;
    for (int i = 1; i <= 100000; ++i) {
      sum += 1.0 / i;
    }
    must(sum > 12.09014612986 && sum < 12.09014612987, "a sum");
  }
  return unused;
}

int main(void) {
  const pid_t sender = start_sender();  // which shall have no end of the others' pipes
  must(pipe(ends[0]) == 0 && pipe(ends[1]) == 0, "pipe");
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  pthread_t threads[3];
  pthread_create(&threads[0], NULL, echo, NULL);
  pthread_create(&threads[1], NULL, call, NULL);
  pthread_create(&threads[2], NULL, compute, NULL);
  sigemptyset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  const long long begin = start_timer();
  must(write(1, "ready\n", 6) == 6, "write");
  char byte;
  must(read(0, &byte, 1) >= 0, "read of stdin");
  judge_timer(begin);
  stopping = 1;
  for (int i = 0; i < 3; ++i) {
    pthread_join(threads[i], NULL);
  }
  kill(sender, SIGKILL);
  waitpid(sender, NULL, 0);
  must(gaps == 0 && next_number > 100, "signals were lost");
  puts("ok");
  return 0;
}
