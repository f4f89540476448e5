// SPDX-License-Identifier: MIT OR Apache-2.0
#define FMT_HEADER_ONLY 1
#include "text.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <charconv>

namespace duende::mlock::command {

namespace {
constexpr std::string_view kBlanks = " \t\n\r";
}

std::string format_any(fmt::string_view format, fmt::format_args args) {
  return fmt::vformat(format, args);
}

void usage_error(const std::string& text) { throw Failure(kUsage, text); }

void warn(std::string_view text) {
  const std::string line = "duende-mlock: " + printable(text) + '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& byte : out) {
    const auto value = static_cast<unsigned char>(byte);
    byte = value < ' ' || value == 0x7f ? '?' : byte;
  }
  return out;
}

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string_view> Lines::next() {
  if (rest_.empty()) {
    return std::nullopt;
  }
  const std::string_view line = rest_.substr(0, rest_.find('\n'));
  rest_.remove_prefix(line.size() < rest_.size() ? line.size() + 1 : line.size());
  return line;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (;;) {
    const auto begin = text.find_first_not_of(kBlanks);
    if (begin == text.npos) {
      return words;
    }
    text.remove_prefix(begin);
    const auto end = text.find_first_of(kBlanks);
    words.push_back(text.substr(0, end));
    text.remove_prefix(words.back().size());
  }
}

std::string join(const Words& words, std::string_view separator) {
  std::string out;
  for (const std::string& word : words) {
    out.append(out.empty() ? "" : separator).append(word);
  }
  return out;
}

std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? std::optional(text.substr(prefix.size())) : std::nullopt;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::optional<unsigned long long> number(std::string_view text, int base) {
  unsigned long long value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value, base);
  return error == std::errc() && stopped == end ? std::optional(value) : std::nullopt;
}

bool consists_of(std::string_view text, std::string_view bytes) {
  return text.find_first_not_of(bytes) == text.npos;
}

std::string escape(std::string_view text, std::string_view bytes) {
  std::string out;
  for (const char byte : text) {
    if (bytes.find(byte) != bytes.npos) {
      out += '\\';
    }
    out += byte;
  }
  return out;
}

std::string quote(std::string_view text, std::string_view more) {
  return '"' + escape(text, std::string("\\\"").append(more)) + '"';
}

}  // namespace duende::mlock::command
