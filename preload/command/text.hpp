// SPDX-License-Identifier: MIT OR Apache-2.0
// Words to the user, and what is done with text everywhere.
#pragma once

#include <fmt/core.h>

#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace duende::mlock::command {

using Words = std::vector<std::string>;

// As env(1), timeout(1) and docker(1) have them.
inline constexpr int kUsage = 2;
inline constexpr int kRefused = 125;
inline constexpr int kNotExecutable = 126;
inline constexpr int kNotFound = 127;

[[nodiscard]] std::string format_any(fmt::string_view format, fmt::format_args args);

/// As fmt::format, of which only text.cpp compiles the whole.
template <class... Args>
[[nodiscard]] std::string format(fmt::format_string<Args...> text, Args&&... args) {
  return format_any(text, fmt::make_format_args(args...));
}

/// Ends the command with `status` and a line on stderr; a usage error points to the help as well.
struct Failure : std::runtime_error {
  Failure(int exit_status, const std::string& text)
      : std::runtime_error(text), status(exit_status) {}
  int status;
};
[[noreturn]] void usage_error(const std::string& text);

/// A line on stderr.
void warn(std::string_view text);

/// File and process names may hold anything, and a terminal shall not obey it.
[[nodiscard]] std::string printable(std::string_view text);

[[nodiscard]] std::string_view trim(std::string_view text);
/// The parts between separators, empty ones as well. Not of a temporary, which they would outlive.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
template <std::same_as<std::string> Text>
std::vector<std::string_view> split(Text&& text, char separator) = delete;
/// The lines of a long text, one at a time; empty at its end.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  [[nodiscard]] std::optional<std::string_view> next();

 private:
  std::string_view rest_;
};
/// The parts between blanks.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view text);
[[nodiscard]] std::string join(const Words& words, std::string_view separator);
/// What follows `prefix`, if the text begins with it.
[[nodiscard]] std::optional<std::string_view> after(std::string_view text, std::string_view prefix);
[[nodiscard]] std::string_view base_name(std::string_view path);
/// The whole of the text as a number.
[[nodiscard]] std::optional<unsigned long long> number(std::string_view text, int base = 10);
[[nodiscard]] bool consists_of(std::string_view text, std::string_view bytes);
/// With a backslash before each of `bytes`.
[[nodiscard]] std::string escape(std::string_view text, std::string_view bytes);
/// In double quotes, with a backslash before quotes, backslashes and each of `more`.
[[nodiscard]] std::string quote(std::string_view text, std::string_view more = "");

}  // namespace duende::mlock::command
