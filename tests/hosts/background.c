// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs a command in the background of a terminal (stderr) with `stty tostop`, and says whether it
// was stopped. With no command, it writes to the terminal there, which must stop it.
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "host.h"

static void take_terminal(void) {
  struct termios settings;
  expect(setsid() > 0, "setsid");
  expect(ioctl(STDERR_FILENO, TIOCSCTTY, 0) == 0, "TIOCSCTTY");
  expect(tcgetattr(STDERR_FILENO, &settings) == 0, "tcgetattr");
  settings.c_lflag |= TOSTOP;
  expect(tcsetattr(STDERR_FILENO, TCSANOW, &settings) == 0, "tcsetattr");
}

int main(int count, char** arguments) {
  // Its parent made it a group leader, which may not call setsid.
  const pid_t leader = fork();
  if (leader != 0) {
    return waitpid(leader, NULL, 0) != leader;
  }
  take_terminal();
  const pid_t child = fork();
  if (child == 0) {
    expect(setpgid(0, 0) == 0, "setpgid");
    if (count > 1) {
      char library[4096];
      snprintf(library, sizeof library, "LD_PRELOAD=%s", arguments[1]);
      char* const environment[] = {library, NULL};
      execve(arguments[2], arguments + 2, environment);
      _exit(93);
    }
    _exit(write(STDERR_FILENO, "x", 1) != 1);
  }
  int status = 0;
  expect(waitpid(child, &status, WUNTRACED) == child, "waitpid");
  if (WIFSTOPPED(status)) {
    kill(child, SIGKILL);
    say("stopped %d\n", WSTOPSIG(status));
    return 0;
  }
  say("exit %d\n", WEXITSTATUS(status));
  return 0;
}
