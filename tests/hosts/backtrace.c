// SPDX-License-Identifier: MIT OR Apache-2.0
// Where a thread is that a signal finds in syscall(2), as a crash report or a profiler asks.
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unwind.h>

#include "host.h"

static uintptr_t g_caller;
static int g_seen;

static _Unwind_Reason_Code look(struct _Unwind_Context* context, void* unused) {
  (void)unused;
  g_seen |= _Unwind_GetIP(context) == g_caller;
  return _URC_NO_REASON;
}

static void handle(int signal) {
  (void)signal;
  _Unwind_Backtrace(look, NULL);
}

__attribute__((noinline)) static void signal_myself(void) {
  g_caller = (uintptr_t)__builtin_return_address(0);
  expect(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1) == 0, "tgkill");
}

int main(void) {
  signal(SIGUSR1, handle);
  signal_myself();
  say(g_seen ? "main is seen\n" : "main is not seen\n");
  return 0;
}
