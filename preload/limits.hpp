// SPDX-License-Identifier: MIT OR Apache-2.0
// RLIMIT_MEMLOCK: raised as far as it goes, and whether it binds this process.
#pragma once

#include <sys/resource.h>

#include "kernel.hpp"

namespace duende::mlock::preload {

/// RLIMIT_MEMLOCK in bytes, as it stands.
struct MemlockLimit {
  rlim_t soft = RLIM_INFINITY;
  rlim_t hard = RLIM_INFINITY;
  /// The limit is finite, and CAP_IPC_LOCK is known to let this process lock beyond it.
  bool exempt = false;

  [[nodiscard]] constexpr bool infinite() const noexcept { return soft == RLIM_INFINITY; }
  /// Under the limit: what is locked beyond it fails, and with MCL_FUTURE so do allocations.
  [[nodiscard]] constexpr bool capped() const noexcept { return !infinite() && !exempt; }
};

/// Soft and hard limit to infinity (CAP_SYS_RESOURCE), else the soft limit to the hard one,
/// else nothing. Whether that changed anything.
bool raise_memlock_limit(const Kernel& kernel) noexcept;

/// Without `exempt`, which takes longer to find out.
[[nodiscard]] MemlockLimit memlock_limit(const Kernel& kernel) noexcept;
[[nodiscard]] MemlockLimit read_memlock_limit(const Kernel& kernel) noexcept;

}  // namespace duende::mlock::preload
