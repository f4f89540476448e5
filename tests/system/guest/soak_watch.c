// SPDX-License-Identifier: MIT OR Apache-2.0
// Watches every process of a forking daemon under memory pressure, once a second:
// is each of them locked, is nothing swapped, does nothing grow?
//
//	soak_watch PID MIB WORKERS SECONDS
//
// A "beat" line a minute; at the end one "RESULT" line:
//	held      every process was locked at every sample, and nothing grew
//	unlocked  some process had memory that was not locked
//	swapped   some process had memory that was swapped out
//	leaked    the parent's resident memory grew
//	died      the daemon is gone
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "load.h"
#include "proc.h"
#include "referee.h"

// What the kernel itself maps into a process, and never locks: vvar, vdso.
enum { kMost = 64, kWindow = 60, kGrowthKiB = 1024, kSpecialKiB = 64 };

struct soak {
  const char* broken;        // the first promise that did not hold
  long samples, processes;   // rounds, and processes seen in them
  long first_kib, last_kib;  // the parent: mean resident memory of a window
};

static bool unlocked(struct process p) {
  return p.locked_kib == 0 || p.size_kib - p.locked_kib > kSpecialKiB;
}

static void look_at_all(struct soak* soak) {
  int pids[kMost];
  const int count = cgroup_read("/sys/fs/cgroup/daemon/cgroup.procs", pids, kMost);

  for (int i = 0; i < count; i++) {
    const struct process p = process_read(pids[i]);
    // Negative: it has just given its memory back, on its way out.
    if (!p.alive || p.locked_kib < 0 || strcmp(p.name, "soak") != 0)
      continue;
    soak->processes++;
    // Once more, as the two figures do not change at once.
    if (unlocked(p) && unlocked(process_read(pids[i])))
      soak->broken = "unlocked";
    else if (p.swapped_kib > 0 && swapped_exactly(pids[i]) > 0)
      soak->broken = "swapped";
  }
  soak->samples++;
}

static void watch(struct soak* soak, int parent, long seconds) {
  long sum = 0;

  for (long second = 1; second <= seconds && !soak->broken; second++) {
    wait_seconds(1);
    look_at_all(soak);
    const struct process p = process_read(parent);
    if (!p.alive) {
      soak->broken = "died";
      break;
    }
    sum += p.resident_kib;
    if (second % kWindow != 0)
      continue;
    soak->last_kib = sum / kWindow;
    sum = 0;
    // The first minute is for caches to fill; the second is the measure.
    if (second <= 2 * kWindow)
      soak->first_kib = soak->last_kib;
    char line[160];
    snprintf(line, sizeof line, "beat t=%ld rss_kib=%ld vmlck_kib=%ld processes=%ld out_mib=%ld\n",
             second, soak->last_kib, p.locked_kib, soak->processes, vm_read().swapped_out / 256);
    say(line);
  }
  if (!soak->broken && soak->last_kib > soak->first_kib + kGrowthKiB)
    soak->broken = "leaked";
}

int main(int argc, char** argv) {
  struct soak soak = {0};
  char line[256];

  if (argc != 5)
    return 2;
  report_open();
  struct progress* progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (progress == MAP_FAILED)
    return 1;
  load_start(progress, atoi(argv[3]), atol(argv[2]), 0);
  become_immune();
  say("beat t=0\n");
  watch(&soak, atoi(argv[1]), atol(argv[4]));
  const struct vm vm = vm_read();
  snprintf(line, sizeof line,
           "RESULT result=%s samples=%ld processes=%ld rss_first_kib=%ld rss_last_kib=%ld"
           " swapped_out_mib=%ld oom_kills=%ld corrupt_pages=%lu\n",
           soak.broken ? soak.broken : "held", soak.samples, soak.processes, soak.first_kib,
           soak.last_kib, vm.swapped_out / 256, vm.oom_kills,
           (unsigned long)load_corrupt(progress));
  say(line);
  switch_off();
}
