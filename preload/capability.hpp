// SPDX-License-Identifier: MIT OR Apache-2.0
// What the capability sets of this thread say of one capability: capabilities(7).
#pragma once

#include <string_view>

namespace duende::mlock::preload {

/// Numbers of linux/capability.h.
enum class Capability : unsigned { ipc_lock = 14, sys_nice = 23, sys_resource = 24 };

struct CapabilityState {
  bool effective = false;
  bool permitted = false;
  bool bounding = false;
  /// Held in a user namespace that is not the first: shown as effective, yet refused by
  /// everything that guards the machine rather than the namespace.
  bool namespaced = false;
};

/// What /proc/PID/ns/user links to in the first user namespace: PROC_USER_INIT_INO, Linux 3.8.
inline constexpr std::string_view kInitialUserNamespace = "user:[4026531837]";

/// All of it. Async-signal-safe.
[[nodiscard]] CapabilityState capability(Capability which) noexcept;

/// The one system call that tells of the effective set alone. Async-signal-safe.
[[nodiscard]] bool effective(Capability which) noexcept;

}  // namespace duende::mlock::preload
