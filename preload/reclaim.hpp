// SPDX-License-Identifier: MIT OR Apache-2.0
// How this process allocates when memory is short: without waiting on I/O, and from the reserve.
#pragma once

#include "kernel.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

struct ReclaimState {
  bool io_flusher = false;
  unsigned realtime = 0;  // SCHED_RR priority, or 0
  bool as_asked = true;
};

/// DUENDE_MLOCK_IO_FLUSHER and DUENDE_MLOCK_REALTIME: set, read back, and reported where they do
/// not hold, unless the parent process has said so (`environment` is as main will find it). For
/// this thread and all that it starts; and, as far as it can be had, for those that the constructor
/// of another library has started. A stronger real-time policy stays.
[[nodiscard]] ReclaimState apply_reclaim_settings(const Kernel& kernel,
                                                  const Settings& settings) noexcept;

/// In a process that DUENDE_MLOCK_ONLY leaves out: takes back what it inherited over execve(2)
/// from one that this library served. Best effort.
void shed_reclaim_settings(const Kernel& kernel, const Settings& settings) noexcept;

/// The flags PR_SET_IO_FLUSHER sets, as field 9 of `stat`, /proc/self/stat or a thread's, shows
/// them to everybody (PR_GET_IO_FLUSHER needs CAP_SYS_RESOURCE). True without /proc.
[[nodiscard]] bool shown_as_io_flusher(const Kernel& kernel, const char* stat) noexcept;

}  // namespace duende::mlock::preload
