// SPDX-License-Identifier: MIT OR Apache-2.0
#include "procfs.hpp"

#include <charconv>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

namespace duende::mlock::test {

namespace {

std::string_view without_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// `555500000000-555500001000 r-xp 00000000 08:01 1234   /path`, or nothing.
std::optional<SmapsEntry> parse_header(std::string_view line) {
  std::istringstream words{std::string(line)};
  std::string range, offset, device;
  SmapsEntry entry;
  words >> range >> entry.permissions >> offset >> device >> entry.inode;
  if (!words || range.find('-') == std::string::npos || entry.permissions.size() != 4) {
    return std::nullopt;
  }
  std::getline(words >> std::ws, entry.path);
  return entry;
}

}  // namespace

std::string_view section(std::string_view text, std::string_view name) {
  const std::string header = "== " + std::string(name) + '\n';
  const std::size_t at = text.find(header);
  if (at == std::string_view::npos) {
    return {};
  }
  text.remove_prefix(at + header.size());
  return text.substr(0, text.find("== "));
}

std::string_view field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.substr(0, key.size()) == key) {
      return without_blanks(line.substr(key.size()));
    }
  }
  throw std::runtime_error("no line begins with " + std::string(key));
}

std::uint64_t number(std::string_view text, std::string_view key) {
  const std::string_view digits = field(text, key);
  std::uint64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc{}) {
    throw std::runtime_error(std::string(key) + " is no number: " + std::string(digits));
  }
  return value;
}

std::vector<SmapsEntry> parse_smaps(std::string_view text) {
  std::vector<SmapsEntry> smaps;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (const auto entry = parse_header(line)) {
      smaps.push_back(*entry);
    } else if (smaps.empty()) {
      continue;
    } else if (line.substr(0, 5) == "Size:") {
      smaps.back().size = number(line, "Size:");
    } else if (line.substr(0, 4) == "Rss:") {
      smaps.back().resident = number(line, "Rss:");
    } else if (line.substr(0, 8) == "VmFlags:") {
      smaps.back().flags = ' ' + std::string(field(line, "VmFlags:")) + ' ';
    }
  }
  return smaps;
}

std::vector<SmapsEntry> code_mappings(const std::vector<SmapsEntry>& smaps) {
  std::set<std::string> files;
  for (const SmapsEntry& entry : smaps) {
    if (entry.inode != 0 && entry.permissions[2] == 'x') {
      files.insert(entry.path);
    }
  }
  std::vector<SmapsEntry> code;
  for (const SmapsEntry& entry : smaps) {
    const std::string& permissions = entry.permissions;
    if (files.count(entry.path) != 0 && permissions[0] == 'r' && permissions[1] == '-' &&
        permissions[3] == 'p') {
      code.push_back(entry);
    }
  }
  return code;
}

}  // namespace duende::mlock::test
