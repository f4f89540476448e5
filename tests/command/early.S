// SPDX-License-Identifier: MIT OR Apache-2.0
// Prints its /proc/self/status, from its first instruction on, and reads from its stdin: for x86-64,
// aarch64 and i386.
#if defined(__aarch64__)
  .globl _start
_start:
  mov x8, 56  // openat
  mov x0, -100
  adr x1, path
  mov x2, 0
  svc 0
  mov x19, x0
  mov x8, 63  // read
  adr x1, buffer
  mov x2, 4096
  svc 0
  mov x20, x0
  mov x8, 57  // close
  mov x0, x19
  svc 0
  mov x2, x20
  mov x8, 64  // write
  mov x0, 1
  adr x1, buffer
  svc 0
  mov x8, 63  // read
  mov x0, 0
  mov x2, 1
  svc 0
  mov x8, 94  // exit_group
  mov x0, 7
  svc 0
#elif defined(__x86_64__)
  .globl _start
_start:
  mov $2, %eax  // open
  lea path(%rip), %rdi
  xor %esi, %esi
  syscall
  mov %eax, %edi
  xor %eax, %eax  // read
  lea buffer(%rip), %rsi
  mov $4096, %edx
  syscall
  mov %eax, %ebx
  mov $3, %eax  // close
  syscall
  mov %ebx, %edx
  mov $1, %eax  // write
  mov $1, %edi
  syscall
  xor %eax, %eax  // read
  xor %edi, %edi
  mov $1, %edx
  syscall
  mov $231, %eax  // exit_group
  mov $7, %edi
  syscall
#elif defined(__i386__)
  .globl _start
_start:
  mov $5, %eax  // open
  mov $path, %ebx
  xor %ecx, %ecx
  int $0x80
  mov %eax, %ebx
  mov $3, %eax  // read
  mov $buffer, %ecx
  mov $4096, %edx
  int $0x80
  mov %eax, %esi
  mov $6, %eax  // close
  int $0x80
  mov %esi, %edx
  mov $4, %eax  // write
  mov $1, %ebx
  int $0x80
  mov $3, %eax  // read
  xor %ebx, %ebx
  mov $1, %edx
  int $0x80
  mov $252, %eax  // exit_group
  mov $7, %ebx
  int $0x80
#endif
path:
  .asciz "/proc/self/status"
  .bss
  .balign 16
buffer:
  .skip 4096
