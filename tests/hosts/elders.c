// SPDX-License-Identifier: MIT OR Apache-2.0
// Has threads before any library's constructor has run, and says how the kernel schedules each, and
// whether it is an IO flusher.
#define _GNU_SOURCE  // sched_getattr's constants
#include <dirent.h>
#include <pthread.h>

#include "host.h"

enum { kThreads = 2 };
static int g_end[2];

static void* wait_for_end(void* unused) {
  char byte;
  (void)!read(g_end[0], &byte, 1);
  return unused;
}

static void start_threads(void) {
  pthread_t thread;
  expect(pipe(g_end) == 0, "pipe");
  for (int i = 0; i < kThreads; ++i) {
    expect(pthread_create(&thread, NULL, wait_for_end, NULL) == 0, "pthread_create");
  }
}

#ifdef __GLIBC__
__attribute__((section(".preinit_array"), used)) static void (*const kBefore)(void) = start_threads;
#else
__attribute__((constructor)) static void start(void) { start_threads(); }
#endif

/// Fields of proc_pid_stat(5); the program's name has no blank.
static void tell(const char* thread) {
  char path[300];
  char text[1024] = {0};
  unsigned long flags = 0;
  unsigned priority = 0;
  unsigned policy = 0;
  snprintf(path, sizeof path, "/proc/self/task/%s/stat", thread);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  expect(file >= 0 && read(file, text, sizeof text - 1) > 0, "stat");
  close(file);
  const int found =
      sscanf(text,
             "%*s %*s %*s %*s %*s %*s %*s %*s %lu %*s %*s %*s %*s %*s %*s %*s %*s %*s "
             "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
             "%*s %*s %*s %u %u",
             &flags, &priority, &policy);
  expect(found == 3, "fields");
  say("policy %u priority %u flusher %d\n", policy, priority, (flags & 0x180000) == 0x180000);
}

int main(void) {
  DIR* const tasks = opendir("/proc/self/task");
  expect(tasks != NULL, "opendir");
  for (const struct dirent* task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] != '.') {
      tell(task->d_name);
    }
  }
  closedir(tasks);
  return 0;
}
