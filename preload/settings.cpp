// SPDX-License-Identifier: MIT OR Apache-2.0
#include "settings.hpp"

#include <cstddef>
#include <optional>

namespace duende::mlock::preload {

namespace {

constexpr char lower(char byte) noexcept {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
}

constexpr bool equal_in_any_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) {
      return false;
    }
  }
  return true;
}

std::optional<bool> parse_bool(std::string_view value) noexcept {
  for (const std::string_view word : {"1", "true", "yes", "on"}) {
    if (equal_in_any_case(value, word)) {
      return true;
    }
  }
  for (const std::string_view word : {"0", "false", "no", "off"}) {
    if (equal_in_any_case(value, word)) {
      return false;
    }
  }
  return std::nullopt;
}

template <bool Settings::*Setting>
bool boolean(std::string_view value, Settings& settings) noexcept {
  const auto parsed = parse_bool(value);
  settings.*Setting = parsed.value_or(settings.*Setting);
  return parsed.has_value();
}

/// As `boolean`, and remembers that somebody asked for it.
template <bool Settings::*Setting, bool Settings::*Explicit>
bool explicit_boolean(std::string_view value, Settings& settings) noexcept {
  settings.*Explicit = boolean<Setting>(value, settings);
  return settings.*Explicit;
}

bool fork_mode(std::string_view value, Settings& settings) noexcept {
  constexpr std::string_view kModes[] = {"lazy", "full", "off"};
  for (std::size_t i = 0; i < std::size(kModes); ++i) {
    if (value == kModes[i]) {
      settings.fork = static_cast<ForkMode>(i);
      return true;
    }
  }
  return false;
}

bool log_level(std::string_view value, Settings& settings) noexcept {
  constexpr std::string_view kLevels[] = {"off", "error", "warn", "info", "debug"};
  for (std::size_t i = 0; i < std::size(kLevels); ++i) {
    if (value == kLevels[i]) {
      settings.log = static_cast<LogLevel>(i);
      return true;
    }
  }
  return false;
}

constexpr std::string_view kBoolean = "1 0 true false yes no on off";

constexpr Variable kVariables[] = {
    {"CURRENT", kBoolean, "1", "lock what is mapped now (`MCL_CURRENT`)",
     boolean<&Settings::current>},
    {"FUTURE", kBoolean, "1", "lock what is mapped later (`MCL_FUTURE`)",
     explicit_boolean<&Settings::future, &Settings::future_explicit>},
    {"ONFAULT", kBoolean, "1",
     "1: lock each page as it is first touched (`MCL_ONFAULT`), and make the program's code "
     "resident at once; 0: populate everything that is mapped, now and later",
     explicit_boolean<&Settings::onfault, &Settings::onfault_explicit>},
    {"REQUIRED", kBoolean, "0", "abort before `main` when anything asked for fails",
     boolean<&Settings::required>},
    {"FORK", "lazy full off", "lazy", "what a forked child locks", fork_mode},
    {"RAISE_LIMIT", kBoolean, "1",
     "raise `RLIMIT_MEMLOCK`: to infinity where allowed, else the soft limit to the hard one",
     boolean<&Settings::raise_limit>},
    {"LOG", "off error warn info debug", "info", "how much goes to stderr", log_level},
};

/// Levenshtein's, over names cut to a length no variable comes near.
std::size_t edit_distance(std::string_view a, std::string_view b) noexcept {
  constexpr std::size_t kLongest = 32;
  if (a.size() > kLongest) {
    a.remove_suffix(a.size() - kLongest);
  }
  std::size_t row[kLongest + 1] = {};
  for (std::size_t i = 0; i <= a.size(); ++i) {
    row[i] = i;
  }
  for (const char byte : b) {
    std::size_t diagonal = row[0]++;
    for (std::size_t i = 1; i <= a.size(); ++i) {
      const std::size_t replaced = diagonal + (a[i - 1] == byte ? 0 : 1);
      diagonal = row[i];
      const std::size_t shorter = row[i] < row[i - 1] ? row[i] : row[i - 1];
      row[i] = replaced <= shorter ? replaced : shorter + 1;
    }
  }
  return row[a.size()];
}

/// `value` in quotes, harmless to a terminal and a log, and short whatever it holds.
void append_quoted(Line& line, std::string_view value) noexcept {
  constexpr std::size_t kLongest = 64;
  constexpr std::string_view kHex = "0123456789abcdef";
  line << '"';
  for (std::size_t i = 0; i < value.size() && i < kLongest; ++i) {
    const auto byte = static_cast<unsigned char>(value[i]);
    if (byte < ' ' || byte > '~') {
      line << "\\x" << kHex[byte / 16] << kHex[byte % 16];
    } else if (byte == '"' || byte == '\\') {
      line << '\\' << value[i];
    } else {
      line << value[i];
    }
  }
  line << '"';
  if (value.size() > kLongest) {
    line << "... (" << value.size() << " bytes)";
  }
}

void describe_value(Line& line, const Variable& variable, std::string_view value) noexcept {
  line << kPrefix << variable.name << '=';
  append_quoted(line, value);
  line << " is not one of: " << variable.accepted << "; the default is " << variable.fallback;
}

void describe_name(Line& line, std::string_view name) noexcept {
  line << "unknown variable ";
  append_quoted(line, name);
  line << "; the nearest known one is " << kPrefix
       << nearest_variable(detail::after(name, kPrefix.size())).name;
}

ReadResult read(Environment environment, const ProblemSink* sink) noexcept {
  ReadResult result;
  bool seen[std::size(kVariables)] = {};
  const auto problem = [&](auto describe) {
    ++result.problems;
    if (sink != nullptr) {
      Line line;
      describe(line);
      sink->take(sink->context, line);
    }
  };
  while (const auto entry = environment.next()) {
    const std::string_view name = entry->name;
    if (!detail::starts_with(name, kPrefix)) {
      continue;
    }
    const Variable* const variable = find_variable(detail::after(name, kPrefix.size()));
    if (variable == nullptr) {
      problem([&](Line& line) { describe_name(line, name); });
      continue;
    }
    bool& repeated = seen[variable - kVariables];
    if (!repeated && !entry->value.empty() && !variable->parse(entry->value, result.settings)) {
      problem([&](Line& line) { describe_value(line, *variable, entry->value); });
      result.required_malformed |= variable->name == "REQUIRED";
    }
    repeated = true;
  }
  if (result.settings.nothing_to_lock() && result.settings.onfault_explicit &&
      result.settings.onfault) {
    problem([](Line& line) {
      line << kPrefix << "ONFAULT=1 asks for nothing with CURRENT=0 and FUTURE=0 "
           << "(mlockall answers EINVAL); leave it out, or set one of the two";
    });
  }
  return result;
}

}  // namespace

std::span<const Variable> variables() noexcept { return kVariables; }

const Variable* find_variable(std::string_view name) noexcept {
  for (const Variable& variable : kVariables) {
    if (variable.name == name) {
      return &variable;
    }
  }
  return nullptr;
}

const Variable& nearest_variable(std::string_view name) noexcept {
  const Variable* nearest = kVariables;
  std::size_t least = SIZE_MAX;
  for (const Variable& variable : kVariables) {
    const std::size_t distance = edit_distance(name, variable.name);
    if (distance < least) {
      least = distance;
      nearest = &variable;
    }
  }
  return *nearest;
}

ReadResult read_settings(Environment environment) noexcept { return read(environment, nullptr); }

void describe_problems(Environment environment, const ProblemSink& sink) noexcept {
  (void)read(environment, &sink);
}

}  // namespace duende::mlock::preload
