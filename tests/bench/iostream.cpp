// SPDX-License-Identifier: MIT OR Apache-2.0
// For comparison: the same with a message by iostream, and so with the C++ runtime.
#include <sys/mman.h>
#include <iostream>

namespace {

// A namespace-scope object, for std::cerr is not constructed yet in a constructor function.
struct LockMemory {
  LockMemory() {
    const int result = mlockall(MCL_CURRENT | MCL_FUTURE);
    std::cerr << "bench: mlockall answered " << result << std::endl;
  }
} const lock_memory;

}  // namespace
