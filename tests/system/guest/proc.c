// SPDX-License-Identifier: MIT OR Apache-2.0
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kMemallocNoio = 0x00080000 };  // PF_MEMALLOC_NOIO of linux/sched.h

static char text[1 << 16];  // one file at a time, locked with the rest

// Reads a whole small file into `text`; false when it cannot be read.
static bool slurp(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  ssize_t n;

  if (fd < 0)
    return false;
  while (length < sizeof text - 1 && (n = read(fd, text + length, sizeof text - 1 - length)) > 0)
    length += (size_t)n;
  close(fd);
  text[length] = '\0';
  return length > 0;
}

// The number behind "KEY" at the start of a line of `text`; -1 without one.
static long number_after(const char* key) {
  const size_t length = strlen(key);

  for (const char* line = text; line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, key, length) == 0)
      return strtol(line + length, NULL, 10);
  }
  return -1;
}

struct process process_read(int pid) {
  struct process p = {
      .state = '?', .size_kib = -1, .locked_kib = -1, .swapped_kib = -1, .resident_kib = -1};
  unsigned flags = 0;
  char path[64];

  snprintf(path, sizeof path, "/proc/%d/status", pid);
  if (slurp(path)) {
    sscanf(text, "Name:\t%15[^\n]", p.name);
    p.size_kib = number_after("VmSize:");
    p.locked_kib = number_after("VmLck:");
    p.swapped_kib = number_after("VmSwap:");
    p.resident_kib = number_after("VmRSS:");
  }
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (slurp(path)) {
    // Fields 3 to 40 of proc(5), behind the name, which may hold anything:
    // state, flags (9), majflt (12) and rt_priority (40).
    const char* rest = strrchr(text, ')');
    if (rest)
      sscanf(rest + 1,
             " %c %*d %*d %*d %*d %*d %u %*u %*u %lu"
             " %*u %*u %*u %*d %*d %*d %*d %*d %*d %*u %*u %*d %*u"
             " %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %d",
             &p.state, &flags, &p.major_faults, &p.realtime);
  }
  p.alive = p.state != '?' && p.state != 'Z' && p.state != 'X';
  p.io_flusher = flags & kMemallocNoio;
  return p;
}

long swapped_exactly(int pid) {
  char path[64];

  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
  return slurp(path) ? number_after("Swap:") : -1;
}

int cgroup_read(const char* path, int* pids, int most) {
  char* rest = text;
  int count = 0;

  if (!slurp(path))
    return 0;
  while (count < most && (pids[count] = (int)strtol(rest, &rest, 10)) > 0)
    count++;
  return count;
}

bool disk_read(const char* name, struct disk* disk) {
  unsigned long reads, writes, inflight;
  char path[96];

  snprintf(path, sizeof path, "/sys/block/%s/stat", name);
  if (!slurp(path) ||
      sscanf(text, "%lu %*u %*u %*u %lu %*u %*u %*u %lu", &reads, &writes, &inflight) != 3)
    return false;
  *disk = (struct disk){.done = reads + writes, .inflight = inflight};
  return true;
}

struct vm vm_read(void) {
  if (!slurp("/proc/vmstat"))
    return (struct vm){0};
  return (struct vm){
      .swapped_out = number_after("pswpout "),
      .swapped_in = number_after("pswpin "),
      .oom_kills = number_after("oom_kill "),
  };
}

void kernel_stacks(int pid, void (*sink)(const char* text)) {
  char path[96], head[96];
  const struct dirent* entry;

  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR* tasks = opendir(path);
  while (tasks && (entry = readdir(tasks))) {
    if (entry->d_name[0] == '.')
      continue;
    snprintf(head, sizeof head, "STACK pid=%d tid=%.10s state=%c\n", pid, entry->d_name,
             process_read(atoi(entry->d_name)).state);
    sink(head);
    snprintf(path, sizeof path, "/proc/%d/task/%.10s/stack", pid, entry->d_name);
    if (slurp(path))
      sink(text);
  }
  if (tasks)
    closedir(tasks);
}

void put(const char* path, const char* value) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return;
  if (write(fd, value, strlen(value)) < 0) {
    // Nothing to be done about it: the caller's measurement shows it.
  }
  close(fd);
}
