// SPDX-License-Identifier: MIT OR Apache-2.0
// Readers of what /proc/PID says, in the text that a host program printed of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace duende::mlock::test {

/// What stands between the line `== NAME` and the next such line; empty without one.
[[nodiscard]] std::string_view section(std::string_view text, std::string_view name);

/// The rest of the first line that begins with `key`, without the blanks; throws without one.
[[nodiscard]] std::string_view field(std::string_view text, std::string_view key);

/// `field` as a number; its unit, if any, is left out.
[[nodiscard]] std::uint64_t number(std::string_view text, std::string_view key);

/// One mapping of smaps, sizes in KiB.
struct SmapsEntry {
  std::string permissions;
  std::string path;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  std::string flags;  // VmFlags, with a blank around each

  [[nodiscard]] bool is(std::string_view flag) const {
    return flags.find(' ' + std::string(flag) + ' ') != std::string::npos;
  }
  /// Locked on fault, for which Linux 6.1 has no letters.
  [[nodiscard]] bool on_fault() const { return is("lf") || is("??"); }
};

[[nodiscard]] std::vector<SmapsEntry> parse_smaps(std::string_view text);

/// The readable, private, non-writable mappings of every file that has an executable mapping.
[[nodiscard]] std::vector<SmapsEntry> code_mappings(const std::vector<SmapsEntry>& smaps);

}  // namespace duende::mlock::test
