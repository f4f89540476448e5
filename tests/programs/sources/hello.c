// SPDX-License-Identifier: MIT OR Apache-2.0
// What the compilers are given.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  char* const text = strdup("compiled");
  puts(text);
  free(text);
  return 7;
}
