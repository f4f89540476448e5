// SPDX-License-Identifier: MIT OR Apache-2.0
// A process that is swapped out before the library can lock it, and a child likewise: in
// the moment before the constructor, and in that between fork() and the library's handler.
//
// At the end one "RESULT" line:
//	held      what was swapped out is back, in both
//	swapped   some is not
//	idle      nothing was swapped out: the run proves nothing
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "referee.h"

static char block[1 << 20];
static long before_kib;

static void swap_out(void) {
  memset(block, getpid(), sizeof block);
  for (int i = 0; i < 20 && (before_kib = swapped_exactly(getpid())) < 512; i++)
    put("/sys/fs/cgroup/daemon/memory.reclaim", "16M");
}

static void come_first(void) {
  swap_out();
  pthread_atfork(NULL, NULL, swap_out);
}

// Of the program itself, and called before any library's constructor.
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = come_first;

int main(void) {
  const long parent_before = before_kib, parent_after = swapped_exactly(getpid());
  struct {
    long before, after, locked;
  } child;
  int channel[2];
  char line[256];

  before_kib = 0;
  if (pipe(channel) != 0)
    return 1;
  if (fork() == 0) {
    child.before = before_kib, child.after = swapped_exactly(getpid());
    child.locked = process_read(getpid()).locked_kib;
    _exit(write(channel[1], &child, sizeof child) != sizeof child);
  }
  if (read(channel[0], &child, sizeof child) != sizeof child)
    return 1;
  const char* result = parent_before < 512 || child.before < 512 ? "idle"
                       : parent_after != 0 || child.after != 0   ? "swapped"
                                                                 : "held";
  report_open();
  snprintf(line, sizeof line,
           "RESULT result=%s before_kib=%ld after_kib=%ld child_before_kib=%ld child_after_kib=%ld"
           " vmlck_kib=%ld child_vmlck_kib=%ld\n",
           result, parent_before, parent_after, child.before, child.after,
           process_read(getpid()).locked_kib, child.locked);
  say(line);
  switch_off();
}
