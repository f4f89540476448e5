// SPDX-License-Identifier: MIT OR Apache-2.0
// What the library is measured against: the least that locks a process before main.
#include <sys/mman.h>

__attribute__((constructor)) static void lock_memory(void) { mlockall(MCL_CURRENT | MCL_FUTURE); }
