// SPDX-License-Identifier: MIT OR Apache-2.0
#include "settings.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

constexpr char lower(char byte) noexcept {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
}

/// The place of `value` in the words of `accepted`; or nothing.
std::optional<unsigned char> word_index(std::string_view value,
                                        std::string_view accepted) noexcept {
  unsigned char index = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= accepted.size(); ++i) {
    if (i == accepted.size() || accepted[i] == ' ') {
      if (value == std::string_view(accepted.data() + begin, i - begin)) {
        return index;
      }
      begin = i + 1;
      ++index;
    }
  }
  return std::nullopt;
}

#define BOOLEAN "1 0 true false yes no on off"

std::optional<bool> parse_bool(std::string_view value) noexcept {
  detail::Text<6> word;  // longer than the longest, so that what is cut is no word either
  for (const char byte : value) {
    word << lower(byte);
  }
  const auto index = word_index(word, BOOLEAN);
  return index ? std::optional(*index % 2 == 0) : std::nullopt;
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
  const auto index = word_index(value, "lazy full off");
  settings.fork = index ? static_cast<ForkMode>(*index) : settings.fork;
  return index.has_value();
}

bool files(std::string_view value, Settings& settings) noexcept {
  const auto index = word_index(value, "code all");
  settings.files_explicit = index.has_value();
  settings.all_files = index ? *index == 1 : settings.all_files;
  return index.has_value();
}

bool log_level(std::string_view value, Settings& settings) noexcept {
  const auto index = word_index(value, "off error warn info debug");
  settings.log = index ? static_cast<LogLevel>(*index) : settings.log;
  return index.has_value();
}

bool profile(std::string_view value, Settings& settings) noexcept {
  const auto index = word_index(value, "lock swap-device");
  settings.swap_device = index ? *index == 1 : settings.swap_device;
  return index.has_value();
}

/// The whole of `value` is a number from `least` to `most`.
constexpr std::optional<std::size_t> parse_number(std::string_view value, std::size_t least,
                                                  std::size_t most) noexcept {
  const auto number = detail::leading_number(value);
  const bool valid = number.found && number.length == value.size() && number.value >= least &&
                     number.value <= most;
  return valid ? std::optional<std::size_t>(number.value) : std::nullopt;
}

bool realtime(std::string_view value, Settings& settings) noexcept {
  const auto priority = parse_number(value, 0, 99);
  settings.realtime_explicit = priority.has_value();
  settings.realtime = static_cast<unsigned char>(priority.value_or(0));
  return priority.has_value();
}

bool arenas(std::string_view value, Settings& settings) noexcept {
  const auto count = parse_number(value, 1, 999);
  settings.arenas = static_cast<unsigned short>(count.value_or(0));
  return count.has_value();
}

/// In KiB: the C library's, which depends on the processor, but for musl's 2 KiB.
std::size_t least_thread_stack() noexcept {
  constexpr long kLeast = 16;
  const long minimum = (::sysconf(_SC_THREAD_STACK_MIN) + 1023) / 1024;
  return static_cast<std::size_t>(minimum > kLeast ? minimum : kLeast);
}

bool thread_stack(std::string_view value, Settings& settings) noexcept {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  const std::string_view units = "KMG";
  const std::size_t unit = value.empty() ? units.npos : units.find(value.back());
  unsigned shift = 0;
  if (unit != units.npos) {
    shift = 10 * (static_cast<unsigned>(unit) + 1);
    value.remove_suffix(1);
  }
  const auto count = parse_number(value, 0, kMost >> shift);
  const std::size_t least = least_thread_stack() << 10;
  const std::size_t bytes = count.value_or(0) << shift;
  settings.thread_stack = bytes >= least ? bytes : 0;
  return bytes >= least;
}

/// Calls `visit` with each name of the list until it returns true; whether it did.
template <class Visit>
constexpr bool any_name(std::string_view names, Visit visit) noexcept {
  for (;;) {
    const std::size_t colon = names.find(':');
    const std::size_t length = colon == names.npos ? names.size() : colon;
    if (visit(std::string_view(names.data(), length))) {
      return true;
    }
    if (colon == names.npos) {
      return false;
    }
    names.remove_prefix(colon + 1);
  }
}

bool only(std::string_view value, Settings& settings) noexcept {
  const bool malformed = any_name(
      value, [](std::string_view name) { return name.empty() || name.find('/') != name.npos; });
  settings.only = malformed ? std::string_view() : value;
  return !malformed;
}

bool store(std::string_view value, Settings& settings) noexcept {
  const bool malformed =
      any_name(value, [](std::string_view path) { return !detail::starts_with(path, "/"); });
  settings.store = malformed ? std::string_view() : value;
  return !malformed;
}

#define VARIABLE(name, accepted, fallback, meaning, parse) {#name, accepted, fallback},
// The linker leaves most of the page of what is read-only after relocation empty: constants in it
// keep the pages before it from becoming one more.
[[gnu::section(".data.rel.ro")]] constexpr Variable kVariables[] = {
#include "variables.inc"
};
#undef VARIABLE

[[gnu::section(".data.rel.ro")]] constexpr char kOnlyOnfault[] =
    "ONFAULT=1 asks for nothing with CURRENT=0 and FUTURE=0 (mlockall answers EINVAL); leave it "
    "out, or set one of the two";

}  // namespace

// A chain of comparisons: a pointer in the table would be a relocation.
bool parse(const Variable& variable, std::string_view value, Settings& settings) noexcept {
  const Variable* next = kVariables;
#define VARIABLE(name, accepted, fallback, meaning, parser) \
  if (&variable == next++) {                                \
    return parser(value, settings);                         \
  }
#include "variables.inc"
#undef VARIABLE
  return false;
}
#undef BOOLEAN

namespace {

/// Levenshtein's in any case, over names cut to a length no variable comes near.
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
      const std::size_t replaced = diagonal + (lower(a[i - 1]) == lower(byte) ? 0 : 1);
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
  line << " is not accepted; accepted: ";
  std::string_view accepted = variable.accepted;
  if (variable.name == std::string_view("THREAD_STACK")) {
    line << least_thread_stack();
    accepted = detail::after(accepted, accepted.find('K'));
  }
  line << accepted << "; default: " << variable.fallback;
}

void describe_name(Line& line, std::string_view name) noexcept {
  line << "unknown variable ";
  append_quoted(line, name);
  line << "; the nearest known one is " << kPrefix
       << nearest_variable(detail::after(name, kPrefix.size())).name;
}

void apply_swap_device(Settings& settings) noexcept {
  settings.io_flusher |= !settings.io_flusher_explicit;
  if (!settings.realtime_explicit) {
    settings.realtime = 1;
  }
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
    if (variable == nullptr && entry->value.empty()) {
      continue;  // as if unset
    }
    if (variable == nullptr) {
      problem([&](Line& line) { describe_name(line, name); });
      continue;
    }
    bool& repeated = seen[variable - kVariables];
    if (!repeated && !entry->value.empty() && !parse(*variable, entry->value, result.settings)) {
      problem([&](Line& line) { describe_value(line, *variable, entry->value); });
      result.required_malformed |= variable->name == std::string_view("REQUIRED");
    }
    repeated = true;
  }
  if (result.settings.swap_device) {
    apply_swap_device(result.settings);
  }
  if (!result.settings.files_explicit) {
    result.settings.all_files = !result.settings.onfault;
  }
  if (result.settings.nothing_to_lock() && result.settings.onfault_explicit &&
      result.settings.onfault) {
    problem([](Line& line) { line << kPrefix << kOnlyOnfault; });
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

bool is_selected(const Settings& settings, std::string_view program) noexcept {
  const auto named = [&](std::string_view path) {
    const std::size_t slash = path.rfind('/');
    const std::string_view base = slash == path.npos ? path : detail::after(path, slash + 1);
    return any_name(settings.only, [&](std::string_view name) { return name == base; });
  };
  if (settings.only.empty() || named(program)) {
    return true;
  }
  char executable[4096];
  const long length =
      system_call(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", executable, sizeof executable);
  return length > 0 && named({executable, static_cast<std::size_t>(length)});
}

}  // namespace duende::mlock::preload
