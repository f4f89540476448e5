// SPDX-License-Identifier: MIT OR Apache-2.0
// Who a child process is: user, capabilities, user namespace.
#pragma once

#include <sys/types.h>
#include <optional>
#include <string>
#include <string_view>

namespace duende::mlock::test {

enum class Identity : unsigned char {
  as_found,
  root,               // with CAP_IPC_LOCK, and without CAP_SYS_RESOURCE: no limit can be raised
  root_with_all,      // as found, with CAP_SYS_RESOURCE
  user,               // no capability
  user_may_lock,      // CAP_IPC_LOCK as an ambient capability
  root_of_namespace,  // of a user namespace that an ordinary user made
};

/// The ordinary user; `nobody` of most systems.
inline constexpr uid_t kUser = 65534;

[[nodiscard]] std::string_view name_of(Identity identity);

/// Why this machine, or whoever runs the tests, cannot start such a process.
[[nodiscard]] std::optional<std::string> missing_for(Identity identity);

/// In a forked child. Throws std::runtime_error.
void become(Identity identity);

/// Of the calling process, by the numbers of linux/capability.h.
[[nodiscard]] bool has_capability(int number);
inline constexpr int kCapIpcLock = 14;
inline constexpr int kCapSysAdmin = 21;
inline constexpr int kCapSysResource = 24;

/// In the first user namespace, where capabilities count.
[[nodiscard]] bool in_first_user_namespace();

}  // namespace duende::mlock::test
