// SPDX-License-Identifier: MIT OR Apache-2.0
// Locks are not inherited over fork(2): a handler takes them again in the child.
#pragma once

#include "locking.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

/// From now on, children of fork(2) are locked as `settings.fork` says and as `outcome` could
/// be; both stay for as long as the process. vfork(2), posix_spawn(3) and raw clone(2) run no
/// handler, which is right before an exec. False where the C library has no way to register one.
[[nodiscard]] bool follow_forks(const Settings& settings, const Outcome& outcome) noexcept;

}  // namespace duende::mlock::preload
