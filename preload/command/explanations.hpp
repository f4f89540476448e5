// SPDX-License-Identifier: MIT OR Apache-2.0
// What the lines of the library and of this command mean, and what to do: the manual's DIAGNOSTICS.
#pragma once

#include <span>
#include <string_view>

namespace duende::mlock::command {

struct Explanation {
  std::string_view page;  // of the manual
  std::string_view line;  // `...` stands for anything
  std::string_view text;
};

/// In the manual's order: of those that fit a line, the first says most of it.
[[nodiscard]] std::span<const Explanation> explanations() noexcept;
/// Of a line, whatever a log has put before it; null if there is none.
[[nodiscard]] const Explanation* explanation_of(std::string_view line) noexcept;

}  // namespace duende::mlock::command
