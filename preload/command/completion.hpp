// SPDX-License-Identifier: MIT OR Apache-2.0
// What shells complete: made from the options that there are.
#pragma once

#include "text.hpp"

namespace duende::mlock::command {

/// What a word on the command line is, and so how it is completed.
enum class Kind : unsigned char { nothing, file, folder, command, process, unit, check };

struct CompletedOption {
  std::string name;     // --name
  std::string meaning;  // the first line of its help
  bool takes_value = false;
  Words values;  // if it takes one of these
  Kind kind = Kind::nothing;
};

struct CompletedSubcommand {
  std::string name;
  std::string meaning;
  Kind operands = Kind::nothing;
  std::vector<CompletedOption> options;
};

/// The script for bash, zsh or fish.
[[nodiscard]] std::string completion_script(std::string_view shell,
                                            const std::vector<CompletedSubcommand>& subcommands);

}  // namespace duende::mlock::command
