// SPDX-License-Identifier: MIT OR Apache-2.0
// The command line: which options each subcommand takes, their help, and what is wrong with them.
#pragma once

#include <memory>

#include "subcommands.hpp"

namespace duende::mlock::command {

class CommandLine {
 public:
  explicit CommandLine(Words words);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Does what they say: the exit status, or a Failure.
  int run();
  /// The one that was named; empty if none was.
  [[nodiscard]] std::string subcommand() const;

 private:
  struct Parts;
  Words words_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace duende::mlock::command
