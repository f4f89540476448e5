// SPDX-License-Identifier: MIT OR Apache-2.0
// An outcome in words: what is locked, or the cause and the one fix that fits here.
#pragma once

#include "capability.hpp"
#include "locking.hpp"

namespace duende::mlock::preload {

/// Who sets the limits here, and so where they are changed.
enum class Host : unsigned char { shell, systemd, docker, podman, kubernetes };

/// Async-signal-safe.
[[nodiscard]] Host detect_host(const Kernel& kernel, Environment environment) noexcept;

struct Report {
  LogLevel level = LogLevel::info;
  Line text;
};

/// Reads /proc only where something is wrong. Async-signal-safe.
[[nodiscard]] Report describe(const Kernel& kernel, const Outcome& outcome,
                              const Settings& settings, Environment environment) noexcept;

/// That a call for `what` (a variable's name, without the prefix) was refused for want of
/// `needed`, or for want of a newer kernel. Async-signal-safe.
struct Refusal {
  std::string_view what;
  std::string_view call;
  int error;
  Capability needed;
  std::string_view since;  // a kernel version
};
[[nodiscard]] Report describe_refusal(const Kernel& kernel, const Refusal& refusal,
                                      const Settings& settings, Environment environment) noexcept;

/// That CAP_IPC_LOCK is gone, and future locking with it. Async-signal-safe.
[[nodiscard]] Report describe_drop(const Kernel& kernel, const Settings& settings,
                                   const MemlockLimit& limit) noexcept;

}  // namespace duende::mlock::preload
