// SPDX-License-Identifier: MIT OR Apache-2.0
// A program whose main makes one call that nothing before it makes, so that traces show where main
// begins.
#include <unistd.h>

int main(void) {
  getppid();
  return 0;
}
