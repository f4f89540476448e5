// SPDX-License-Identifier: MIT OR Apache-2.0
#include "limits.hpp"

namespace duende::mlock::preload {

bool raise_memlock_limit(const Kernel& kernel) noexcept {
  if (kernel.set_memlock_limit({RLIM_INFINITY, RLIM_INFINITY}) == 0) {
    return true;
  }
  rlimit limit;
  return kernel.get_memlock_limit(limit) == 0 && limit.rlim_cur != limit.rlim_max &&
         kernel.set_memlock_limit({limit.rlim_max, limit.rlim_max}) == 0;
}

MemlockLimit memlock_limit(const Kernel& kernel) noexcept {
  rlimit limit;
  if (kernel.get_memlock_limit(limit) != 0) {
    limit = {0, 0};  // unknown: trust nothing but an exemption
  }
  return {.soft = limit.rlim_cur, .hard = limit.rlim_max};
}

MemlockLimit read_memlock_limit(const Kernel& kernel) noexcept {
  MemlockLimit memlock = memlock_limit(kernel);
  memlock.exempt = !memlock.infinite() && kernel.may_lock_beyond(memlock.soft) == Answer::yes;
  return memlock;
}

}  // namespace duende::mlock::preload
