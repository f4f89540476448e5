// SPDX-License-Identifier: MIT OR Apache-2.0
// A process, looked at once: whether its memory is locked, how, and by whom.
#pragma once

#include "build.hpp"
#include "process.hpp"

namespace duende::mlock::command {

enum class State : unsigned char { locked, partly, unlocked, unknown, gone, zombie, kernel };

struct Look {
  pid_t pid = 0;
  State state = State::gone;
  std::optional<ProcessStatus> status;
  Mappings mappings;
  std::optional<std::uint64_t> pinned;  // resident and locked, shared pages divided
  std::optional<Limits> limits;
  Threads threads;
  std::optional<bool> preloaded;  // LD_PRELOAD names the library
  Build build;                    // of the library

  [[nodiscard]] bool is_locked() const noexcept { return state == State::locked; }
  /// Neither gone nor on the way.
  [[nodiscard]] bool runs() const noexcept {
    return state != State::gone && state != State::zombie;
  }
  [[nodiscard]] std::optional<bool> library_loaded() const noexcept {
    return mappings.known() ? std::optional(mappings.library) : std::nullopt;
  }
  /// Empty: not known, or not locked.
  [[nodiscard]] std::string_view locked_by() const noexcept;
  /// Whether every mapping that could be swapped is locked; empty if that is not known.
  [[nodiscard]] std::optional<bool> future() const noexcept;
  /// "yes", "no", "both"; empty if nothing is locked.
  [[nodiscard]] std::string_view on_fault() const noexcept;
  /// What is wrong, cannot be known, or is left out by policy.
  [[nodiscard]] std::string_view note() const noexcept;
};

[[nodiscard]] Look look_at(pid_t pid);
[[nodiscard]] std::string_view name_of(State state) noexcept;
/// The library is loaded in the process, or in its LD_PRELOAD.
[[nodiscard]] bool concerns_library(pid_t pid);

}  // namespace duende::mlock::command
