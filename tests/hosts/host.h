// SPDX-License-Identifier: MIT OR Apache-2.0
// What the host programs share: reports on stdout by plain write(2), which neither allocate nor
// buffer, so that they change nothing of what they report and survive in a forked child.
#ifndef DUENDE_MLOCK_TESTS_HOST_H
#define DUENDE_MLOCK_TESTS_HOST_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void put(const char* bytes, size_t size) {
  while (size != 0) {
    const ssize_t written = write(STDOUT_FILENO, bytes, size);
    if (written <= 0) {
      _exit(90);
    }
    bytes += written;
    size -= (size_t)written;
  }
}

__attribute__((format(printf, 1, 2))) static inline void say(const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  put(line, (size_t)size);
}

static inline void copy_file(const char* path) {
  char block[4096];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    _exit(91);
  }
  for (ssize_t count; (count = read(file, block, sizeof block)) > 0;) {
    put(block, (size_t)count);
  }
  close(file);
}

/// Fails loudly: with the step's name on stdout, and an exit status of its own.
static inline void expect(int condition, const char* step) {
  if (!condition) {
    say("failed: %s\n", step);
    _exit(92);
  }
}

#endif
