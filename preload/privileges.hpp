// SPDX-License-Identifier: MIT OR Apache-2.0
// The setuid family, followed: where only CAP_IPC_LOCK lifts the limit, MCL_FUTURE may not
// outlive it, or the daemon's next allocation fails.
#pragma once

#include "locking.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

/// Finds the functions this library stands in front of. Once, before main.
void find_wrapped_functions() noexcept;

/// From now on, when this process gives CAP_IPC_LOCK up, future locking ends first, and when it
/// gets it back, everything is locked again; with `required` it aborts instead of giving up.
/// Called again in a child that locks for itself; every other process with this memory (of
/// vfork(2), or unlocked) is left alone. `settings` stay for as long as the process.
/// Async-signal-safe.
void follow_privileges(const Settings& settings, const Outcome& outcome) noexcept;

}  // namespace duende::mlock::preload
