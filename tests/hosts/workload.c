// SPDX-License-Identifier: MIT OR Apache-2.0
// Needs memory in every way a daemon does, in itself and in a forked child, and says so.
#include <sys/wait.h>

#include "workload.h"

int main(void) {
  use_memory();
  const pid_t child = fork();
  expect(child >= 0, "fork");
  if (child == 0) {
    use_memory();
    _exit(7);
  }
  int status = 0;
  expect(waitpid(child, &status, 0) == child, "waitpid");
  say("child %#x\n", (unsigned)status);
  use_memory();
  return 3;
}
