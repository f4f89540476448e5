// SPDX-License-Identifier: MIT OR Apache-2.0
// Locks are not inherited over fork(2): a handler takes them again in the child.
#pragma once

#include "locking.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

/// Code of the program is resident in the first child of a process, and in one that calls setsid(2)
/// or daemon(3): they may outlive the parent, whose lock keeps the pages until then. The others
/// share them, and come to them by faults that read nothing.
///
/// From now on, children of fork(2) are locked as `settings.fork` says and as `outcome` could
/// be; both stay for as long as the process. vfork(2), posix_spawn(3) and raw clone(2) run no
/// handler, which is right before an exec. False where the C library has no way to register one.
[[nodiscard]] bool follow_forks(const Settings& settings, const Outcome& outcome) noexcept;

/// After setsid(2) and daemon(3): the process is on its own from now on, and so may be its next
/// child, the second of two forks.
void outlive_parent() noexcept;

}  // namespace duende::mlock::preload
