// SPDX-License-Identifier: MIT OR Apache-2.0
// How much memory a process may use: the machine's, or what its control groups allow.
#pragma once

#include "kernel.hpp"

namespace duende::mlock::preload {

inline constexpr const char kOwnGroups[] = "/proc/self/cgroup";

/// Bytes: the least of the machine's memory and of `memory.max`, `memory.high` (version 2) or
/// `memory.limit_in_bytes` (version 1) of the control group and of each one above it, as far as
/// they can be read. `groups` is /proc/PID/cgroup. Async-signal-safe.
[[nodiscard]] std::size_t memory_limit(const Kernel& kernel,
                                       const char* groups = kOwnGroups) noexcept;

}  // namespace duende::mlock::preload
