// SPDX-License-Identifier: MIT OR Apache-2.0
// What has been said already: by the parent process, or by another of the same tree of forks.
#pragma once

#include "locking.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

/// Before main: how the program fared that started this one, or was this process before its exec.
/// It has left a mark in the environment: empty names at the end of LD_PRELOAD, which the dynamic
/// linkers of glibc and musl pass over.
void hear_of_forebears(Environment environment) noexcept;

/// How loud a line is, of one that `failed` or of one that is no news: what a program says, those
/// that it starts do not say again, unless they fare worse. Errors stay, as they abort.
[[nodiscard]] LogLevel quieter(LogLevel level, bool failed) noexcept;

/// Leaves that mark for programs that this one starts. Replaces one entry of the block.
void tell_descendants(char** environment, bool failed) noexcept;

/// What children of fork(2) say.
enum class Saying : unsigned { child_unlocked = 1, child_current_only = 2, dropped = 4 };

/// Whether this process is the first of its tree to say that; it then counts as said. The tree
/// begins with the first process that called `share_sayings`. Async-signal-safe.
[[nodiscard]] bool first_to_say(Saying saying) noexcept;

/// Before fork(2), where a child may have something to say: one page that all of the tree share.
void share_sayings() noexcept;

}  // namespace duende::mlock::preload
