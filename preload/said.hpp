// SPDX-License-Identifier: MIT OR Apache-2.0
// What has been said already: by the parent process, or by another of the same tree of forks.
#pragma once

#include "locking.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

/// How loud a line is in a process whose parent is locked, and so served by this library as well:
/// it has said the same. Errors stay, as they abort. Before main.
[[nodiscard]] LogLevel quieter(const Kernel& kernel, LogLevel level) noexcept;

/// The same of what became of the lock, unless it became something else of the parent's.
[[nodiscard]] LogLevel quieter(const Kernel& kernel, LogLevel level,
                               const Outcome& outcome) noexcept;

/// What children of fork(2) say.
enum class Saying : unsigned { child_unlocked = 1, child_current_only = 2, dropped = 4 };

/// Whether this process is the first of its tree to say that; it then counts as said. The tree
/// begins with the first process that called `share_sayings`. Async-signal-safe.
[[nodiscard]] bool first_to_say(Saying saying) noexcept;

/// Before fork(2), where a child may have something to say: one page that all of the tree share.
void share_sayings() noexcept;

}  // namespace duende::mlock::preload
