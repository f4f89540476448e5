// SPDX-License-Identifier: MIT OR Apache-2.0
// The naive baseline: what a preloaded lock looks like in one line.
#include <sys/mman.h>

__attribute__((constructor)) static void lock(void) { mlockall(MCL_CURRENT | MCL_FUTURE); }
