// SPDX-License-Identifier: MIT OR Apache-2.0
// Says how the kernel schedules it, a thread of it and a child, and whether each is an IO flusher.
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "host.h"

/// Field 9 of proc_pid_stat(5); the program's name has no blank.
static unsigned long flags_of_thread(void) {
  char text[512] = {0};
  unsigned long flags = 0;
  const int file = open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC);
  expect(file >= 0 && read(file, text, sizeof text - 1) > 0, "stat");
  close(file);
  expect(sscanf(text, "%*s %*s %*s %*s %*s %*s %*s %*s %lu", &flags) == 1, "flags");
  return flags;
}

static void* report(void* who) {
  struct sched_param parameter;
  expect(sched_getparam(0, &parameter) == 0, "sched_getparam");
  const int flusher = (flags_of_thread() & 0x180000) == 0x180000;
  say("%s policy %d priority %d flusher %d\n", (const char*)who, sched_getscheduler(0),
      parameter.sched_priority, flusher);
  return NULL;
}

int main(void) {
  pthread_t thread;
  report("main");
  expect(pthread_create(&thread, NULL, report, "thread") == 0, "pthread_create");
  expect(pthread_join(thread, NULL) == 0, "pthread_join");
  const pid_t child = fork();
  if (child == 0) {
    report("child");
    _exit(0);
  }
  expect(waitpid(child, NULL, 0) == child, "waitpid");
  return 0;
}
