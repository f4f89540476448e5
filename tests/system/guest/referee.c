// SPDX-License-Identifier: MIT OR Apache-2.0
#include "referee.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#if defined(__x86_64__)
#include <sys/io.h>
#else
#include <sys/reboot.h>
#endif
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

#include "proc.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

enum { kExitPort = 0xf4 };  // QEMU's isa-debug-exit device

static int tty = -1;

void become_immune(void) {
  mlockall(MCL_CURRENT | MCL_FUTURE);
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  put("/proc/self/oom_score_adj", "-1000");
  sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10});
}

void report_open(void) {
#if defined(__x86_64__)
  // The port is asked for now: the kernel allocates memory to grant it.
  ioperm(kExitPort, 4, 1);
#endif
  tty = open("/dev/ttyS1", O_WRONLY | O_NOCTTY | O_CLOEXEC);
}

void say(const char* text) {
  if (write(tty, text, strlen(text)) < 0) {
    // There is nowhere else to say it.
  }
}

double seconds_now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void wait_seconds(time_t seconds) { nanosleep(&(struct timespec){.tv_sec = seconds}, NULL); }

void switch_off(void) {
  tcdrain(tty);
#if defined(__x86_64__)
  outl(0, kExitPort);
#else
  reboot(RB_POWER_OFF);
#endif
  for (;;)
    pause();
}
