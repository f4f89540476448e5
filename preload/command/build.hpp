// SPDX-License-Identifier: MIT OR Apache-2.0
// Which build of the library a process has mapped, and which it would have after a restart.
#pragma once

#include <sys/types.h>

#include "text.hpp"

namespace duende::mlock::command {

/// Build ids in hexadecimal; empty where there is none, or it may not be seen.
struct Build {
  std::string mapped;
  std::string installed;  // now, where the process has found its own

  /// Whether a restart would bring another one.
  [[nodiscard]] std::optional<bool> outdated() const {
    return mapped.empty() || installed.empty() ? std::nullopt : std::optional(mapped != installed);
  }
};
[[nodiscard]] Build build_of(pid_t pid);

}  // namespace duende::mlock::command
