// SPDX-License-Identifier: MIT OR Apache-2.0
// What the judge reads from /proc and /sys; without a heap, save for kernel_stacks().
#pragma once
#include <stdbool.h>

struct process {
  char name[16];
  bool alive;         // exists and is no zombie
  char state;         // R, S, D, ...; '?' when it is gone
  long size_kib;      // VmSize
  long locked_kib;    // VmLck
  long swapped_kib;   // VmSwap
  long resident_kib;  // VmRSS
  unsigned long major_faults;
  bool io_flusher;  // PF_MEMALLOC_NOIO, as PR_SET_IO_FLUSHER sets it
  int realtime;     // real-time priority, 0 when it has none
};
struct process process_read(int pid);

// KiB swapped out, from the page tables; waits where the process's address space is
// being changed.  VmSwap lags behind what comes back, by up to 63 pages a thread before
// Linux 6.2.  -1 without such a process.
long swapped_exactly(int pid);

// Fills `pids` with the processes of a cgroup, at most `most`; returns how many.
int cgroup_read(const char* path, int* pids, int most);

struct disk {
  unsigned long done;  // requests completed since the device exists
  unsigned long inflight;
};
// False, and `disk` as it was, when there is no such disk.
bool disk_read(const char* name, struct disk* disk);

struct vm {
  long swapped_out, swapped_in, oom_kills;
};  // pages, pages, processes
struct vm vm_read(void);

// Pass the kernel stack of every thread of a process to `sink`, piece by piece.
void kernel_stacks(int pid, void (*sink)(const char* text));

// Write a string to an existing file, e.g. a sysctl; failure is ignored.
void put(const char* path, const char* text);
