// SPDX-License-Identifier: MIT OR Apache-2.0
// The environment block, read without getenv(3): by name, or entry by entry.
#pragma once

#include <optional>
#include <string_view>

namespace duende::mlock::preload {

struct EnvironmentEntry {
  std::string_view name;
  std::string_view value;
};

/// A view of an environment block; `next()` walks it, `get()` looks a name up as getenv(3) does.
class Environment {
 public:
  /// A null block is empty.
  constexpr explicit Environment(const char* const* block) noexcept : block_(block) {}

  [[nodiscard]] constexpr std::optional<EnvironmentEntry> next() noexcept {
    while (block_ != nullptr && *block_ != nullptr) {
      const std::string_view entry = *block_++;
      const std::size_t equals = entry.find('=');
      if (equals != std::string_view::npos) {
        return EnvironmentEntry{{entry.data(), equals},
                                {entry.data() + equals + 1, entry.size() - equals - 1}};
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] constexpr std::optional<std::string_view> get(
      std::string_view name) const noexcept {
    Environment rest = *this;
    while (const auto entry = rest.next()) {
      if (entry->name == name) {
        return entry->value;
      }
    }
    return std::nullopt;
  }

 private:
  const char* const* block_;
};

}  // namespace duende::mlock::preload
