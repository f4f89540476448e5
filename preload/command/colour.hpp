// SPDX-License-Identifier: MIT OR Apache-2.0
// Colour, where stdout is a terminal that has it and nobody minds: no-color.org.
#pragma once

#include "text.hpp"

namespace duende::mlock::command {

enum class Colour : unsigned char { none, good, doubtful, bad };

/// As it goes to stdout.
[[nodiscard]] std::string in_colour(Colour colour, std::string_view text);

}  // namespace duende::mlock::command
