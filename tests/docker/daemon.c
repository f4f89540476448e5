// SPDX-License-Identifier: MIT OR Apache-2.0
// The least of a daemon: says that it is ready, and ends well when it is told to.
#include <signal.h>
#include <unistd.h>

int main(void) {
  static const char ready[] = "ready\n";
  sigset_t signals;
  int signal;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  // Blocked, or the kernel drops it where this is PID 1.
  if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0 ||
      write(STDOUT_FILENO, ready, sizeof ready - 1) != sizeof ready - 1) {
    return 90;
  }
  return sigwait(&signals, &signal);
}
