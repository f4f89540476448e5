// SPDX-License-Identifier: MIT OR Apache-2.0
// A wrapper that only executes.
#include <unistd.h>

int main(int argc, char** argv) {
  (void)argc;
  execv(argv[1], argv + 1);
  return 127;
}
