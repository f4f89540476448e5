// SPDX-License-Identifier: MIT OR Apache-2.0
#include "colour.hpp"

#include <unistd.h>

#include <cstdlib>

namespace duende::mlock::command {

namespace {

bool has_colour() {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  const std::string_view terminal = variable("TERM");
  return variable("NO_COLOR").empty() && !terminal.empty() && terminal != "dumb" &&
         ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace

std::string in_colour(Colour colour, std::string_view text) {
  static const bool wanted = has_colour();
  if (!wanted || colour == Colour::none) {
    return std::string(text);
  }
  const int number = colour == Colour::good ? 32 : colour == Colour::doubtful ? 33 : 31;
  return format("\033[{}m{}\033[0m", number, text);
}

}  // namespace duende::mlock::command
