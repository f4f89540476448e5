// SPDX-License-Identifier: MIT OR Apache-2.0
// A program of 80 MiB, all of which it looks at.
#include <stdio.h>

__asm__(".section .rodata\n.globl much\nmuch: .fill 80 << 20, 1, 7\n.text\n");
extern const volatile unsigned char much[80 << 20];

int main(void) {
  unsigned long sum = 0;
  for (unsigned long at = 0; at < sizeof much; at += 512) {
    sum += much[at];
  }
  printf("%lu\n", sum);
  return 0;
}
