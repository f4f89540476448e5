// SPDX-License-Identifier: MIT OR Apache-2.0
// The DUENDE_MLOCK_* variables: one table, and the settings they make.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <duende/mlock/detail/text.hpp>

#include "environment.hpp"

namespace duende::mlock::preload {

enum class ForkMode : unsigned char { lazy, full, off };

enum class LogLevel : unsigned char { off, error, warn, info, debug };

/// What the variables ask for; as constructed, every variable's default.
struct Settings {
  bool current = true;
  bool future = true;
  bool onfault = true;
  bool required = false;
  bool raise_limit = true;
  bool io_flusher = false;
  bool future_explicit = false;
  bool onfault_explicit = false;
  bool io_flusher_explicit = false;
  bool realtime_explicit = false;
  bool swap_device = false;
  bool files_explicit = false;
  bool all_files = false;      // also those mapped as data; by default with populated locks only
  unsigned char realtime = 0;  // SCHED_RR priority; 0: leave the policy alone
  ForkMode fork = ForkMode::lazy;
  LogLevel log = LogLevel::info;
  unsigned short arenas = 0;     // 0: leave malloc alone
  std::size_t thread_stack = 0;  // bytes; 0: leave the default alone
  std::string_view only;   // base names with ':' between; empty: all. In the environment block
  std::string_view store;  // absolute paths with ':' between; empty: none. As well

  [[nodiscard]] constexpr bool nothing_to_lock() const noexcept { return !current && !future; }
};

inline constexpr std::string_view kPrefix = "DUENDE_MLOCK_";

/// In place, without pointers: each would be a relocation in every process.
struct Variable {
  char name[13];  // without the prefix
  char accepted[33];
  char fallback[7];
};

/// Every variable there is, in the reference's order.
[[nodiscard]] std::span<const Variable> variables() noexcept;

/// nullptr for an unknown name. Without the prefix, as everywhere.
[[nodiscard]] const Variable* find_variable(std::string_view name) noexcept;
/// The known name with the smallest edit distance.
[[nodiscard]] const Variable& nearest_variable(std::string_view name) noexcept;

/// Takes a value over. False, and no change, for one that is not accepted.
[[nodiscard]] bool parse(const Variable& variable, std::string_view value,
                         Settings& settings) noexcept;

/// One line of text, `write(2)` in one piece.
using Line = detail::Text<1000>;

/// Takes the text of each configuration error.
struct ProblemSink {
  void (*take)(void* context, const Line& text) noexcept;
  void* context;
};

struct ReadResult {
  Settings settings;
  unsigned problems = 0;
  bool required_malformed = false;  // fails closed: nobody can know what was meant
};

/// As with getenv(3), the first of several entries of one name counts; an empty value is as if
/// unset.
[[nodiscard]] ReadResult read_settings(Environment environment) noexcept;

/// Reads once more, and describes each configuration error.
void describe_problems(Environment environment, const ProblemSink& sink) noexcept;

/// Whether DUENDE_MLOCK_ONLY names one of the two: the base names of argv[0] and, where that
/// does not decide, of /proc/self/exe, for interpreters and multi-call binaries.
[[nodiscard]] bool is_selected(const Settings& settings, std::string_view program) noexcept;

}  // namespace duende::mlock::preload
