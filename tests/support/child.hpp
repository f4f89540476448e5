// SPDX-License-Identifier: MIT OR Apache-2.0
// One real process from start to end: what it is given, and all that came of it.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "endpoint.hpp"
#include "identity.hpp"

namespace duende::mlock::test {

struct Limit {
  int resource;
  rlimit value;
};

/// What a seccomp filter does instead of answering an errno.
inline constexpr int kKills = -1;
inline constexpr int kKillsThread = -2;
inline constexpr int kTraps = -3;  // SIGSYS

/// A seccomp filter on one system call: it answers this errno, or 0 and does nothing, or does one
/// of the above; where bits are given, only to calls that have one of them in their first argument.
struct Refusal {
  long system_call;
  int answer;
  unsigned bits = 0;
};

struct Launch {
  std::vector<std::string> arguments;    // the first is the program's path
  std::vector<std::string> environment;  // all of it; `@STDERR@` is what JOURNAL_STREAM would be
  Identity identity = Identity::as_found;
  std::vector<Limit> limits;
  std::optional<Refusal> refusal;
  bool first_of_pid_namespace = false;
  std::string folder = "/";
  Stream standard_error = Stream::pipe;
  /// In the child, while it still has every privilege.
  std::function<void()> set_up;
  /// The last thing before execve, in the child.
  std::function<void()> prepare;
  std::chrono::seconds deadline{20};
};

struct Finished {
  pid_t pid = 0;  // as the child itself sees it
  int status = 0;
  bool hung = false;
  std::string out;
  std::string err;

  /// `exit 3`, `signal 6`, `hang`; to be compared and printed.
  [[nodiscard]] std::string how() const;
  [[nodiscard]] bool dumped_core() const;
};

/// In a forked child: a filter that does the same to several calls.
void filter_calls(std::span<const long> calls, int answer);

/// Runs it to its end and to the end of its output, or kills it at the deadline. Throws when it
/// cannot be started as asked.
[[nodiscard]] Finished run(const Launch& launch);

}  // namespace duende::mlock::test
