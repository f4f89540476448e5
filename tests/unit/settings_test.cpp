// SPDX-License-Identifier: MIT OR Apache-2.0
// The DUENDE_MLOCK_* variables: what is accepted, what is refused, and in which words.
#include "preload/settings.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "doctest.hpp"
#include "environment_block.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::EnvironmentBlock;
using Strings = std::vector<std::string>;

const std::string kName = std::string(kPrefix);

/// DUENDE_MLOCK_ONLY is a view of the block, which lives until the next call.
ReadResult read_entries(const Strings& entries) {
  static std::optional<EnvironmentBlock> block;
  return read_settings(block.emplace(entries));
}

ReadResult read_one(const std::string& name, const std::string& value) {
  return read_entries({kName + name + "=" + value});
}

/// The lines, each checked for what holds for any line.
Strings lines_for(const Strings& entries) {
  const EnvironmentBlock block(entries);
  Strings lines;
  const auto take = [](void* context, const Line& text) noexcept {
    static_cast<Strings*>(context)->emplace_back(text.view());
    CHECK_FALSE(text.truncated());
  };
  describe_problems(block, {take, &lines});
  CHECK(lines.size() == read_settings(block).problems);
  for (const std::string& line : lines) {
    CHECK(line.size() <= 600);
    CHECK(std::all_of(line.begin(), line.end(),
                      [](char byte) { return byte >= ' ' && byte <= '~'; }));
  }
  return lines;
}

/// One variable: each accepted value with the setting it makes, printed.
struct Meaning {
  std::string value;
  std::string setting;
};
struct VariableRow {
  std::string name;
  std::function<std::string(const Settings&)> setting;
  std::vector<Meaning> accepted;
  Strings refused;
};

const std::vector<Meaning> kBooleans = {
    {"1", "1"},     {"true", "1"},  {"yes", "1"}, {"on", "1"},    {"TRUE", "1"}, {"True", "1"},
    {"YES", "1"},   {"oN", "1"},    {"0", "0"},   {"false", "0"}, {"no", "0"},   {"off", "0"},
    {"FALSE", "0"}, {"fAlSe", "0"}, {"No", "0"},  {"OFF", "0"},
};
/// No prefix, no garbage around, no other language's idea of truth.
const Strings kNotBooleans = {
    " ",  " 1",   "1 ",      "1\n",  "\t0",   "10",    "01", "00",   "1x", "x1",   "2",
    "-1", "+1",   "1.0",     "t",    "tru",   "true1", "y",  "yess", "n",  "nope", "o",
    "of", "offf", "enabled", "null", "\"1\"", "'1'",   "=",  "=1",   "1=", "\xff", "\xd9\xa1",
};

std::string digit(bool value) { return value ? "1" : "0"; }

std::string word(ForkMode mode) {
  constexpr const char* kWords[] = {"lazy", "full", "off"};
  return kWords[static_cast<int>(mode)];
}

std::string word(LogLevel level) {
  constexpr const char* kWords[] = {"off", "error", "warn", "info", "debug"};
  return kWords[static_cast<int>(level)];
}

VariableRow boolean_row(const char* name, bool Settings::*setting) {
  return {name, [setting](const Settings& settings) { return digit(settings.*setting); }, kBooleans,
          kNotBooleans};
}

const std::string kMiB = std::to_string(1U << 20U);
const std::string kGiB = std::to_string(1U << 30U);

const VariableRow kRows[] = {
    boolean_row("CURRENT", &Settings::current),
    boolean_row("FUTURE", &Settings::future),
    boolean_row("ONFAULT", &Settings::onfault),
    boolean_row("REQUIRED", &Settings::required),
    {"FORK",
     [](const Settings& settings) { return word(settings.fork); },
     {{"lazy", "lazy"}, {"full", "full"}, {"off", "off"}},
     {"Lazy", "FULL", "lazy ", " off", "on", "0", "1", "no", "la", "lazyfull", "lazy full", " "}},
    boolean_row("RAISE_LIMIT", &Settings::raise_limit),
    boolean_row("IO_FLUSHER", &Settings::io_flusher),
    {"REALTIME",
     [](const Settings& settings) { return std::to_string(settings.realtime); },
     {{"0", "0"}, {"1", "1"}, {"50", "50"}, {"99", "99"}, {"007", "7"}},
     {"100", "256", "257", "-1", "+1", "1.5", "1 ", " 1", "0x1", "x", "yes", "1e1",
      "18446744073709551617"}},
    {"PROFILE",
     [](const Settings& settings) { return digit(settings.swap_device); },
     {{"lock", "0"}, {"swap-device", "1"}},
     {"swap", "Lock", "swap_device", "lock swap-device", "swap-device ", "1", "off"}},
    {"ONLY",
     [](const Settings& settings) { return std::string(settings.only); },
     {{"nbdkit", "nbdkit"}, {"a:b", "a:b"}, {"with space", "with space"}, {"a=b", "a=b"}},
     {":", "a:", ":a", "a::b", "/usr/sbin/nbdkit", "a/b", "a:b/c", "/"}},
    {"THREAD_STACK",
     [](const Settings& settings) { return std::to_string(settings.thread_stack); },
     {{"1M", kMiB}, {"1024K", kMiB}, {kMiB, kMiB}, {"1G", kGiB}, {"1048576K", kGiB}, {kGiB, kGiB}},
     {"0",
      "1",
      "1K",
      "8K",
      "16383",
      "1m",
      "1MB",
      "1M ",
      " 1M",
      "1 M",
      "-1M",
      "K",
      "M",
      "1KM",
      "2G",
      "1025M",
      "1048577K",
      "1073741825",
      "1T",
      "1.5M",
      "18446744073709551616K",
      "17179869184G",
      "unlimited"}},
    {"ARENAS",
     [](const Settings& settings) { return std::to_string(settings.arenas); },
     {{"1", "1"}, {"2", "2"}, {"999", "999"}},
     {"0", "1000", "65537", "-1", "1 ", "one", "4294967297", "18446744073709551617"}},
    {"FILES",
     [](const Settings& settings) { return std::string(settings.all_files ? "all" : "code"); },
     {{"code", "code"}, {"all", "all"}},
     {"Code", "ALL", "data", "none", "0", "1", "code all", "all ", " code"}},
    {"STORE",
     [](const Settings& settings) { return std::string(settings.store); },
     {{"/dev/sdb", "/dev/sdb"}, {"/a:/b c", "/a:/b c"}, {"/", "/"}},
     {":", "/a:", ":/a", "/a::/b", "relative", "/a:b", "./a", " /a", "all"}},
    {"LOG",
     [](const Settings& settings) { return word(settings.log); },
     {{"off", "off"}, {"error", "error"}, {"warn", "warn"}, {"info", "info"}, {"debug", "debug"}},
     {"Info", "OFF", "warning", "err", "0", "3", "info ", " debug", "trace", "offerror"}},
};

TEST_CASE("every accepted value of every variable") {
  for (const VariableRow& row : kRows) {
    for (const Meaning& meaning : row.accepted) {
      CAPTURE(row.name);
      CAPTURE(meaning.value);
      const ReadResult result = read_one(row.name, meaning.value);
      CHECK(result.problems == 0);
      CHECK_FALSE(result.required_malformed);
      CHECK(row.setting(result.settings) == meaning.setting);
    }
  }
}

TEST_CASE("every refused value is one problem, and the default applies") {
  for (const VariableRow& row : kRows) {
    for (const std::string& value : row.refused) {
      CAPTURE(row.name);
      CAPTURE(value);
      const ReadResult result = read_one(row.name, value);
      CHECK(result.problems == 1);
      CHECK(result.required_malformed == (row.name == "REQUIRED"));
      CHECK(row.setting(result.settings) == row.setting(Settings{}));
      CHECK_FALSE(result.settings.future_explicit);
      CHECK_FALSE(result.settings.onfault_explicit);
      CHECK(lines_for({kName + row.name + "=" + value}).size() == 1);
    }
  }
}

TEST_CASE("all files are locked where everything is populated, unless FILES says otherwise") {
  CHECK(read_entries({"DUENDE_MLOCK_ONFAULT=0"}).settings.all_files);
  CHECK_FALSE(read_entries({"DUENDE_MLOCK_ONFAULT=1"}).settings.all_files);
  CHECK_FALSE(
      read_entries({"DUENDE_MLOCK_ONFAULT=0", "DUENDE_MLOCK_FILES=code"}).settings.all_files);
  CHECK_FALSE(
      read_entries({"DUENDE_MLOCK_FILES=code", "DUENDE_MLOCK_ONFAULT=0"}).settings.all_files);
  CHECK(read_entries({"DUENDE_MLOCK_FILES=all"}).settings.all_files);
}

TEST_CASE("the rows above cover every variable, in the table's order") {
  REQUIRE(std::size(kRows) == variables().size());
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    const Variable& variable = variables()[i];
    CHECK(kRows[i].name == variable.name);
    CHECK(find_variable(variable.name) == &variable);
  }
}

TEST_CASE("a default that is a value is the default") {
  for (const VariableRow& row : kRows) {
    CAPTURE(row.name);
    const std::string fallback = find_variable(row.name)->fallback;
    if (fallback != "unset" && fallback != "all") {
      CHECK(read_one(row.name, fallback).problems == 0);
      CHECK(row.setting(read_one(row.name, fallback).settings) == row.setting(Settings{}));
    }
  }
}

TEST_CASE("where the accepted values are words, each is accepted") {
  for (const VariableRow& row : kRows) {
    std::istringstream accepted(find_variable(row.name)->accepted);
    const Strings words(std::istream_iterator<std::string>(accepted), {});
    const bool prose = std::any_of(words.begin(), words.end(), [](const std::string& word) {
      return word == "to" || word == "between";
    });
    for (const std::string& word : prose ? Strings{} : words) {
      CAPTURE(row.name);
      CAPTURE(word);
      CHECK(read_one(row.name, word).problems == 0);
    }
  }
}

TEST_CASE("nothing set, or set to nothing, is every default") {
  Strings empty;
  for (const Variable& variable : variables()) {
    empty.push_back(kName + variable.name + "=");
  }
  for (const Strings& entries : {Strings{}, empty}) {
    const auto [settings, problems, required_malformed] = read_entries(entries);
    CHECK(problems == 0);
    CHECK_FALSE(required_malformed);
    CHECK(settings.current);
    CHECK(settings.future);
    CHECK(settings.onfault);
    CHECK_FALSE(settings.required);
    CHECK(settings.raise_limit);
    CHECK_FALSE(settings.future_explicit);
    CHECK_FALSE(settings.onfault_explicit);
    CHECK(settings.fork == ForkMode::lazy);
    CHECK(settings.log == LogLevel::info);
    CHECK_FALSE(settings.io_flusher);
    CHECK(settings.realtime == 0);
    CHECK(settings.only.empty());
    CHECK(settings.thread_stack == 0);
    CHECK(settings.arenas == 0);
  }
  CHECK(read_settings(Environment(nullptr)).problems == 0);
}

TEST_CASE("explicit is what was set, whatever to") {
  for (const char* const value : {"0", "1"}) {
    CHECK(read_one("FUTURE", value).settings.future_explicit);
    CHECK_FALSE(read_one("FUTURE", value).settings.onfault_explicit);
    CHECK(read_one("ONFAULT", value).settings.onfault_explicit);
    CHECK_FALSE(read_one("ONFAULT", value).settings.future_explicit);
  }
  CHECK_FALSE(read_one("CURRENT", "1").settings.future_explicit);
}

TEST_CASE("a profile sets what is not set") {
  struct Row {
    Strings entries;
    bool io_flusher;
    int realtime;
  };
  const Row rows[] = {
      {{}, true, 1},
      {{"IO_FLUSHER=0"}, false, 1},
      {{"IO_FLUSHER=1"}, true, 1},
      {{"REALTIME=0"}, true, 0},
      {{"REALTIME=20"}, true, 20},
      {{"IO_FLUSHER=0", "REALTIME=0"}, false, 0},
      {{"IO_FLUSHER=", "REALTIME="}, true, 1},
      {{"IO_FLUSHER=x", "REALTIME=x"}, true, 1},
  };
  for (const Row& row : rows) {
    for (const bool profile_first : {true, false}) {
      Strings entries;
      for (const std::string& entry : row.entries) {
        entries.push_back(kName + entry);
      }
      entries.insert(profile_first ? entries.begin() : entries.end(),
                     kName + "PROFILE=swap-device");
      const Settings settings = read_entries(entries).settings;
      CHECK(settings.io_flusher == row.io_flusher);
      CHECK(settings.realtime == row.realtime);
    }
  }
  CHECK_FALSE(read_one("PROFILE", "lock").settings.io_flusher);
}

TEST_CASE("ONLY goes by base names, of argv[0] or of the executable") {
  struct Row {
    const char* only;
    const char* program;
    bool selected;
  };
  // The executable of this test is `unit`.
  constexpr Row kPrograms[] = {
      {"", "anything", true},
      {"nbdkit", "nbdkit", true},
      {"nbdkit", "/usr/sbin/nbdkit", true},
      {"nbdkit", "nbdkit2", false},
      {"nbdkit", "nbd", false},
      {"nbdkit", "", false},
      {"nbdkit", "nbdkit/", false},
      {"a:nbdkit:b", "nbdkit", true},
      {"a:nbdkit", "./nbdkit", true},
      {"a:b", "a:b", false},
      {"a:b", "c", false},
      {"unit", "anything", true},
      {"a:unit", "", true},
      {"Unit", "anything", false},
  };
  for (const Row& row : kPrograms) {
    CAPTURE(row.only);
    CAPTURE(row.program);
    Settings settings;
    settings.only = row.only;
    CHECK(is_selected(settings, row.program) == row.selected);
  }
}

TEST_CASE("a thread's least stack is the processor's, and the line says so") {
  struct Row {
    long minimum;
    const char* refused;
    const char* accepted;
    const char* range;
  };
  const Row rows[] = {
      {2048, "15K", "16K", "16K to 1G"},  // musl
      {16384, "15K", "16K", "16K to 1G"},
      {20000, "19K", "20K", "20K to 1G"},      // x86-64 with large registers
      {131072, "127K", "128K", "128K to 1G"},  // aarch64, ppc64el
  };
  for (const Row& row : rows) {
    CAPTURE(row.minimum);
    duende::mlock::test::FakeKernel kernel;
    kernel.least_thread_stack = row.minimum;
    CHECK(read_one("THREAD_STACK", row.accepted).problems == 0);
    CHECK(lines_for({kName + "THREAD_STACK=" + row.refused}) ==
          Strings{kName + "THREAD_STACK=\"" + row.refused +
                  "\" is not accepted; accepted: " + row.range + "; default: unset"});
  }
}

TEST_CASE("the first of several entries counts, as with getenv") {
  const std::string name = kName + "REQUIRED";
  CHECK(read_entries({name + "=1", name + "=0"}).settings.required);
  CHECK_FALSE(read_entries({name + "=0", name + "=1"}).settings.required);
  CHECK_FALSE(read_entries({name + "=", name + "=1"}).settings.required);
  CHECK(read_entries({name + "=1", name + "=x"}).problems == 0);

  const ReadResult bad_first = read_entries({name + "=x", name + "=1"});
  CHECK(bad_first.problems == 1);
  CHECK(bad_first.required_malformed);
  CHECK_FALSE(bad_first.settings.required);
}

TEST_CASE("what is not ours, or no entry at all, is passed over") {
  const Strings others = {"",
                          "=",
                          "=x",
                          "DUENDE_MLOCK_",
                          "DUENDE_MLOCK_REQUIRED",
                          "DUENDE_MLOCK=1",
                          "DUENDE_MLOCKREQUIRED=1",
                          "duende_mlock_required=1",
                          "XDUENDE_MLOCK_REQUIRED=1",
                          " DUENDE_MLOCK_REQUIRED=1",
                          "X=DUENDE_MLOCK_REQUIRED=1"};
  CHECK(lines_for(others).empty());
  CHECK_FALSE(read_entries(others).settings.required);
}

TEST_CASE("problems are counted one by one") {
  const auto result = read_entries({kName + "CURRENT=x", kName + "FUTURE=y", kName + "NOPE=1",
                                    kName + "NOPE=2", kName + "LOG=debug"});
  CHECK(result.problems == 4);
  CHECK(result.settings.log == LogLevel::debug);
}

TEST_CASE("an empty value is as if unset, whatever the name") {
  CHECK(read_entries({kName + "NOPE=", kName + "REQUIRED=", kName + "FORK="}).problems == 0);
}

TEST_CASE("an unknown name is answered with the nearest known one") {
  struct Row {
    const char* name;
    const char* nearest;
  };
  constexpr Row kNames[] = {
      {"REQUIERD", "REQUIRED"},
      {"REQUIRE", "REQUIRED"},
      {"REQUIREDD", "REQUIRED"},
      {"FUTUR", "FUTURE"},
      {"FUTRUE", "FUTURE"},
      {"CURENT", "CURRENT"},
      {"ON_FAULT", "ONFAULT"},
      {"ONFAUL", "ONFAULT"},
      {"FROK", "FORK"},
      {"RAISELIMIT", "RAISE_LIMIT"},
      {"RAISE_LIMITS", "RAISE_LIMIT"},
      {"LOGS", "LOG"},
      {"required", "REQUIRED"},
      {"Future", "FUTURE"},
      {"raise_limit", "RAISE_LIMIT"},
      {"Required ", "REQUIRED"},
  };
  for (const Row& row : kNames) {
    CAPTURE(row.name);
    CHECK(find_variable(row.name) == nullptr);
    CHECK(std::string(nearest_variable(row.name).name) == row.nearest);
  }
}

TEST_CASE("a name of any length has a nearest one") {
  for (const std::size_t size : {0U, 1U, 31U, 32U, 33U, 34U, 1000000U}) {
    const std::string name(size, 'Q');
    CAPTURE(size);
    CHECK(find_variable(nearest_variable(name).name) != nullptr);
    CHECK(lines_for({kName + name + "=1"}).size() == 1);
  }
}

TEST_CASE("on-fault alone is the kernel's EINVAL, and so a configuration error") {
  const std::string off = "CURRENT=0";
  const auto entries = [](const char* onfault) {
    Strings result = {kName + "CURRENT=0", kName + "FUTURE=0"};
    if (*onfault != '\0') {
      result.push_back(kName + "ONFAULT=" + onfault);
    }
    return result;
  };
  CHECK(read_entries(entries("1")).problems == 1);
  CHECK(read_entries(entries("0")).problems == 0);
  CHECK(read_entries(entries("")).problems == 0);
  CHECK(read_entries(entries("")).settings.nothing_to_lock());
  CHECK(read_entries({kName + "CURRENT=0", kName + "ONFAULT=1"}).problems == 0);
  CHECK(read_entries({kName + "FUTURE=0", kName + "ONFAULT=1"}).problems == 0);
}

// The words. Whatever a value holds, its line is short, printable and one line.
struct TextRow {
  std::string entry;  // without the prefix
  std::string line;
};

const std::string kBooleanWords = "1 0 true false yes no on off";

const TextRow kTexts[] = {
    {"CURRENT=maybe",
     "DUENDE_MLOCK_CURRENT=\"maybe\" is not accepted; accepted: " + kBooleanWords + "; default: 1"},
    {"REQUIRED=2",
     "DUENDE_MLOCK_REQUIRED=\"2\" is not accepted; accepted: " + kBooleanWords + "; default: 0"},
    {"FORK=eager",
     "DUENDE_MLOCK_FORK=\"eager\" is not accepted; accepted: lazy full off; default: lazy"},
    {"LOG=loud",
     "DUENDE_MLOCK_LOG=\"loud\" is not accepted; accepted: off error warn info debug; default: "
     "info"},
    {"FORK=a=b",
     "DUENDE_MLOCK_FORK=\"a=b\" is not accepted; accepted: lazy full off; default: lazy"},
    {"FORK=\x1b[2J\n<3>\"\\",
     "DUENDE_MLOCK_FORK=\"\\x1b[2J\\x0a<3>\\\"\\\\\" is not accepted; accepted: lazy full off; "
     "default: lazy"},
    {"FORK=\x7f\x80\xff",
     "DUENDE_MLOCK_FORK=\"\\x7f\\x80\\xff\" is not accepted; accepted: lazy full off; default: "
     "lazy"},
    {"FORK=" + std::string(64, 'v'),
     "DUENDE_MLOCK_FORK=\"" + std::string(64, 'v') +
         "\" is not accepted; accepted: lazy full off; default: lazy"},
    {"FORK=" + std::string(65, 'v'),
     "DUENDE_MLOCK_FORK=\"" + std::string(64, 'v') +
         "\"... (65 bytes) is not accepted; accepted: lazy full off; default: lazy"},
    {"FORK=" + std::string(1U << 20U, 'v'),
     "DUENDE_MLOCK_FORK=\"" + std::string(64, 'v') +
         "\"... (1048576 bytes) is not accepted; accepted: lazy full off; default: lazy"},
    {"REQIRED=1",
     "unknown variable \"DUENDE_MLOCK_REQIRED\"; the nearest known one is DUENDE_MLOCK_REQUIRED"},
    {"RE\nQUIRED=1",
     "unknown variable \"DUENDE_MLOCK_RE\\x0aQUIRED\"; the nearest known one is "
     "DUENDE_MLOCK_REQUIRED"},
    {"FORKS" + std::string(1U << 20U, 'S') + "=1",
     "unknown variable \"DUENDE_MLOCK_FORKS" + std::string(46, 'S') +
         "\"... (1048594 bytes); the nearest known one is DUENDE_MLOCK_FORK"},
};

TEST_CASE("each problem in words") {
  for (const TextRow& row : kTexts) {
    CHECK(lines_for({kName + row.entry}) == Strings{row.line});
  }
  CHECK(lines_for({kName + "CURRENT=0", kName + "FUTURE=0", kName + "ONFAULT=1"}) ==
        Strings{"DUENDE_MLOCK_ONFAULT=1 asks for nothing with CURRENT=0 and FUTURE=0 "
                "(mlockall answers EINVAL); leave it out, or set one of the two"});
}

TEST_CASE("the worst value there is fits in a line") {
  const std::string worst(1U << 20U, '\x01');
  for (const Variable& variable : variables()) {
    CHECK(lines_for({kName + variable.name + "=" + worst}).size() <= 1);
  }
  CHECK(lines_for({kName + worst + "=" + worst}).size() == 1);
}

TEST_CASE("an environment is looked up by name, the first counting") {
  const EnvironmentBlock block({"A", "A=1", "A=2", "AB=3", "=4", "C=", "D=x=y"});
  const Environment environment = block;
  CHECK(environment.get("A") == "1");
  CHECK(environment.get("AB") == "3");
  CHECK(environment.get("") == "4");
  CHECK(environment.get("C") == "");
  CHECK(environment.get("D") == "x=y");
  CHECK_FALSE(environment.get("B"));
  CHECK_FALSE(Environment(nullptr).get("A"));
}

}  // namespace
