// SPDX-License-Identifier: MIT OR Apache-2.0
// One line to stderr that can neither kill, stop nor delay the daemon; and the abort.
#pragma once

#include "settings.hpp"

namespace duende::mlock::preload {

/// Once, before main. `name` is copied, made printable, and cut at 31 bytes. Where stderr is the
/// stream that JOURNAL_STREAM names (systemd.exec(5)), lines get a priority.
void open_report(LogLevel threshold, std::string_view name, Environment environment) noexcept;

[[nodiscard]] bool reported(LogLevel level) noexcept;

/// Writes `duende-mlock[PID] NAME: TEXT` to stderr, as long as that is what it was before main.
/// Async-signal-safe; preserves the signal mask and every descriptor, not errno.
void report(LogLevel level, const Line& text) noexcept;

/// SIGABRT without a core file; where the kernel drops that signal (PID 1 of a namespace),
/// exit status 134.
[[noreturn]] void abort_daemon() noexcept;

}  // namespace duende::mlock::preload
