// SPDX-License-Identifier: MIT OR Apache-2.0
// One line to stderr that can neither kill, stop nor delay the daemon; and the abort.
#pragma once

#include "settings.hpp"

namespace duende::mlock::preload {

/// Writes `duende-mlock[PID] NAME: TEXT`, to stderr as it stands at that moment.
/// Async-signal-safe; preserves errno, the signal mask and every descriptor.
class Reporter {
 public:
  /// Begins to write. `name` is copied, made printable, and cut at 31 bytes. Where stderr is
  /// the stream that JOURNAL_STREAM names (systemd.exec(5)), lines get a priority.
  void open(LogLevel threshold, std::string_view name, Environment environment) noexcept;
  void write(LogLevel level, const Line& text) const noexcept;
  [[nodiscard]] constexpr bool wants(LogLevel level) const noexcept {
    return level <= threshold_ && level != LogLevel::off;
  }

 private:
  LogLevel threshold_ = LogLevel::off;
  detail::Text<31> name_;
  bool has_journal_ = false;
  unsigned long long journal_device_ = 0;
  unsigned long long journal_inode_ = 0;
};

/// SIGABRT without a core file; where the kernel drops that signal (PID 1 of a namespace),
/// exit status 134.
[[noreturn]] void abort_daemon() noexcept;

}  // namespace duende::mlock::preload
