// SPDX-License-Identifier: MIT OR Apache-2.0
// Advice that a lock refuses, taken all the same: the madvise and msync put in front.
#pragma once

#include "kernel.hpp"

namespace duende::mlock::preload {

/// From now on EINVAL and EBUSY may come from a lock that the program did not ask for.
void take_advice_despite_locks() noexcept;

/// What becomes of advice that the kernel answered with EINVAL, maybe because of a lock: 0 or an
/// errno. It has the effect that it has without one, and nothing is left unlocked that was locked.
///   MADV_DONTNEED   MADV_DONTNEED_LOCKED (Linux 5.18); before, unlocked for the moment
///   MADV_FREE       the same: at once, where the kernel would have waited for pressure
///   MADV_REMOVE     unlocked for the moment: the pages are gone, and those that come are locked
///   MADV_COLD, MADV_PAGEOUT
///                   none: they lead to swap, and that is what the lock refuses on purpose
/// Async-signal-safe.
[[nodiscard]] int advise_locked(const Kernel& kernel, std::uintptr_t begin, std::size_t size,
                                int advice) noexcept;

/// For the madvise(2) that answered so; `before` is errno before it.
[[nodiscard]] int after_madvise(int answer, int before, std::uintptr_t begin, std::size_t size,
                                int advice) noexcept;

/// Whether an msync(2) that answered so is to be repeated without MS_INVALIDATE, which on Linux
/// does nothing but be refused where a page is locked.
[[nodiscard]] bool locked_against(int answer) noexcept;

}  // namespace duende::mlock::preload
