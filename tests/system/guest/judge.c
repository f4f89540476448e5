// SPDX-License-Identifier: MIT OR Apache-2.0
// Puts the guest under memory pressure, watches the swap devices and the daemons
// that serve them, and says what happened.
//
//	judge -d DEVICE... -p PID... -m MIB -n WORKERS -t SECONDS -s STALL
//	judge -q              only switch the machine off
//
// Every second it writes one "beat" line to ttyS1, at the end one "RESULT" line:
//	deadlock     some device has requests in flight and completed none for STALL s
//	stuck        requests completed, but the load touched no page for STALL s
//	died         a serving process is gone (the out-of-memory killer, usually)
//	survived     none of these happened for SECONDS s, and swapping did take place
//	idle         nothing was swapped: the run proves nothing
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load.h"
#include "proc.h"
#include "referee.h"

enum { kMaxDaemons = 4, kLeastSwapMiB = 8 };

struct watched {  // one device and the process that serves it
  const char* device;
  int pid;
  struct disk disk;
  struct process process;
  double moved;  // when a request last completed, or none waited
};

static const long kNeverSeen = 1L << 40;

static struct watched watched[kMaxDaemons];
static int devices, daemons;

// What is true of all daemons: the worst of each, over the whole run.
struct worst {
  bool died;
  long least_locked_kib, most_swapped_kib, most_resident_kib;
  bool io_flusher;
  int realtime;
  double quiet, longest_quiet;  // seconds without a completed request
};

static void look(struct worst* worst, double t) {
  worst->quiet = 0;
  for (int i = 0; i < devices; i++) {
    struct watched* w = &watched[i];
    struct disk d = w->disk;
    if (disk_read(w->device, &d) && (d.done != w->disk.done || d.inflight == 0))
      w->moved = t;
    w->disk = d;
    if (t - w->moved > worst->quiet)
      worst->quiet = t - w->moved;
  }
  if (worst->quiet > worst->longest_quiet)
    worst->longest_quiet = worst->quiet;
  for (int i = 0; i < daemons; i++) {
    const struct process p = watched[i].process = process_read(watched[i].pid);
    if (!p.alive) {
      worst->died = true;
      continue;
    }
    if (p.locked_kib < worst->least_locked_kib)
      worst->least_locked_kib = p.locked_kib;
    if (p.swapped_kib > worst->most_swapped_kib)
      worst->most_swapped_kib = p.swapped_kib;
    if (p.resident_kib > worst->most_resident_kib)
      worst->most_resident_kib = p.resident_kib;
    worst->io_flusher &= p.io_flusher;
    if (p.realtime < worst->realtime)
      worst->realtime = p.realtime;
  }
}

static void beat(double elapsed, const struct vm* vm, const struct worst* worst, uint64_t touched) {
  static char line[512];
  int n = snprintf(
      line, sizeof line, "beat t=%.0f touched_mib=%lu out_mib=%ld in_mib=%ld quiet=%.0f", elapsed,
      (unsigned long)touched / 256, vm->swapped_out / 256, vm->swapped_in / 256, worst->quiet);

  for (int i = 0; i < daemons; i++) {
    const struct watched* w = &watched[i];
    n += snprintf(
        line + n, sizeof line - (size_t)n,
        " | %s done=%lu inflight=%lu pid=%d state=%c vmlck=%ld vmswap=%ld rss=%ld majflt=%lu",
        w->device, w->disk.done, w->disk.inflight, w->pid, w->process.state, w->process.locked_kib,
        w->process.swapped_kib, w->process.resident_kib, w->process.major_faults);
    if ((size_t)n >= sizeof line - 1)
      break;
  }
  say(line);
  say("\n");
}

// The kernel's side of the story: stacks of the daemons to the report, all
// blocked and all running tasks to the console.
static void gather_evidence(void) {
  for (int i = 0; i < daemons; i++)
    kernel_stacks(watched[i].pid, say);
  put("/proc/sysrq-trigger", "w");
  put("/proc/sysrq-trigger", "l");
  put("/proc/sysrq-trigger", "m");
  wait_seconds(2);
}

static struct vm since(struct vm start) {
  const struct vm v = vm_read();

  return (struct vm){v.swapped_out - start.swapped_out, v.swapped_in - start.swapped_in,
                     v.oom_kills - start.oom_kills};
}

static void judge(const struct progress* progress, double seconds, double stall) {
  struct worst worst = {.least_locked_kib = kNeverSeen, .realtime = 99, .io_flusher = true};
  const struct vm start = vm_read();
  const double t0 = seconds_now();
  double worked = t0;  // when the load last touched a page
  uint64_t touched = 0;
  const char* result = NULL;
  static char line[512];
  struct vm vm;

  for (int i = 0; i < devices; i++)
    watched[i].moved = t0;
  while (!result) {
    wait_seconds(1);
    const double t = seconds_now();
    look(&worst, t);
    vm = since(start);
    if (load_touched(progress) != touched)
      worked = t;
    touched = load_touched(progress);
    beat(t - t0, &vm, &worst, touched);
    if (worst.died)
      result = "died";
    else if (worst.quiet >= stall)
      result = "deadlock";
    else if (t - worked >= stall)
      result = "stuck";
    else if (t - t0 >= seconds && worst.quiet < 2 && t - worked < 5)
      result = vm.swapped_out / 256 >= kLeastSwapMiB ? "survived" : "idle";
  }
  const double ran = seconds_now() - t0 - worst.quiet;
  if (strcmp(result, "survived") != 0)
    gather_evidence();
  if (worst.least_locked_kib == kNeverSeen)
    worst.least_locked_kib = -1;
  snprintf(line, sizeof line,
           "RESULT result=%s swapped_out_mib=%ld swapped_in_mib=%ld vmlck_kib=%ld vmswap_kib=%ld"
           " rss_kib=%ld io_flusher=%d realtime=%d seconds=%.0f longest_stall_s=%.0f oom_kills=%ld"
           " corrupt_pages=%lu state=%c\n",
           result, vm.swapped_out / 256, vm.swapped_in / 256, worst.least_locked_kib,
           worst.most_swapped_kib, worst.most_resident_kib, worst.io_flusher, worst.realtime, ran,
           worst.longest_quiet, vm.oom_kills, (unsigned long)load_corrupt(progress),
           watched[0].process.state);
  say(line);
  switch_off();
}

int main(int argc, char** argv) {
  double seconds = 30, stall = 30;
  int option, workers = 4;
  long mib = 0;

  report_open();
  while ((option = getopt(argc, argv, "qd:p:m:n:t:s:")) != -1)
    switch (option) {
      case 'q': switch_off(); break;
      case 'd':
        if (devices < kMaxDaemons)
          watched[devices++].device = optarg;
        break;
      case 'p':
        if (daemons < kMaxDaemons)
          watched[daemons++].pid = atoi(optarg);
        break;
      case 'm': mib = atol(optarg); break;
      case 'n': workers = atoi(optarg); break;
      case 't': seconds = atof(optarg); break;
      case 's': stall = atof(optarg); break;
      default: return 2;
    }
  if (daemons == 0 || devices != daemons || mib <= 0 || workers < 1 || workers > kMaxWorkers)
    return 2;

  struct progress* progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (progress == MAP_FAILED)
    return 1;
  load_start(progress, workers, mib, 0);
  become_immune();
  judge(progress, seconds, stall);
}
