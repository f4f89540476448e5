// SPDX-License-Identifier: MIT OR Apache-2.0
// The library's settings, as they were given on the command line.
#pragma once

#include "text.hpp"

namespace duende::mlock::command {

struct Setting {
  std::string name;  // with the prefix
  std::string value;
};

struct GivenSettings {
  std::vector<Setting> all;  // in the order of the library's table
  std::string library;       // --library; empty: none was named

  /// The value of DUENDE_MLOCK_NAME; empty if it was not given.
  [[nodiscard]] std::string_view value(std::string_view name) const;
  [[nodiscard]] bool wants_store() const { return !value("STORE").empty(); }
  [[nodiscard]] bool wants_io_flusher() const;
  [[nodiscard]] bool wants_realtime() const;
  /// The capabilities that the settings need, without CAP_.
  [[nodiscard]] Words capabilities(std::string_view prefix = "") const;
  /// -1000 exempts a daemon from the OOM killer: only right where its end is the end of the
  /// machine.
  [[nodiscard]] int oom_score() const { return value("PROFILE").empty() ? -900 : -1000; }
};

/// For those who read the library's table themselves: into this process's environment.
void put_into_environment(const GivenSettings& settings);

}  // namespace duende::mlock::command
