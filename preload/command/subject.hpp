// SPDX-License-Identifier: MIT OR Apache-2.0
// What `check` looks at: this process, another one, a command, or a unit; and what holds for it.
#pragma once

#include "process.hpp"
#include "unit.hpp"

namespace duende::mlock::command {

// Of linux/capability.h.
inline constexpr unsigned kIpcLock = 14;
inline constexpr unsigned kSysResource = 24;

/// Who sets the limits, and so where they are changed.
enum class Place : unsigned char { shell, systemd, docker, podman, kubernetes };

enum class Filter : unsigned char { none, unknown, refuses };  // of system calls

struct Facts {
  ProcessStatus status;  // of what runs
  Limits limits;
  std::uint64_t effective = 0;  // capabilities
  std::uint64_t bounding = 0;
  /// For locking, capabilities count in the first user namespace only.
  bool capabilities_count = true;
  Filter filter = Filter::none;
  std::optional<std::uint64_t> memory_limit;  // bytes
  Place place = Place::shell;

  [[nodiscard]] bool holds(unsigned capability) const noexcept {
    return (effective >> capability & 1) != 0;
  }
  [[nodiscard]] bool has(unsigned capability) const noexcept {
    return capabilities_count && holds(capability);
  }
};

struct Subject {
  pid_t process = 0;  // 0: it does not run
  std::optional<Unit> unit;
  std::string program;  // as the process or the unit has it
  Words arguments;      // and what follows it
  std::string file;     // where that can be read here
  Facts facts;

  [[nodiscard]] bool is_this_process() const noexcept { return process == 0 && !unit; }
  [[nodiscard]] std::string unit_name() const { return unit ? unit->name() : "UNIT"; }
};

/// Throws a usage error where there is nothing of that name.
[[nodiscard]] Subject find_subject(const std::string& target);

}  // namespace duende::mlock::command
