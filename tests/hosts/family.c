// SPDX-License-Identifier: MIT OR Apache-2.0
// A daemon that gives root up and has children: family forks COUNT; family reuse FILE, which it
// opens as what was its stderr.
#include <sys/wait.h>

#include "host.h"

enum { kUser = 65534 };

/// Children one after the other, each with a child of its own.
static void fork_children(long count) {
  for (long i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) {
        _exit(0);
      }
      _exit(wait(NULL) > 0 ? 0 : 93);
    }
    int status = 0;
    expect(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child");
  }
}

static void reuse_stderr(const char* path) {
  expect(close(STDERR_FILENO) == 0, "close");
  expect(open(path, O_RDWR | O_CREAT | O_TRUNC, 0644) == STDERR_FILENO, "open");
  expect(write(STDERR_FILENO, "database\n", 9) == 9, "write");
}

int main(int count, char** arguments) {
  expect(count == 3, "two arguments");
  const int reuse = strcmp(arguments[1], "reuse") == 0;
  if (reuse) {
    reuse_stderr(arguments[2]);
  }
  expect(setuid(kUser) == 0, "setuid");
  fork_children(reuse ? 1 : strtol(arguments[2], NULL, 10));
  if (reuse) {
    copy_file(arguments[2]);
  }
  return 0;
}
