// SPDX-License-Identifier: MIT OR Apache-2.0
// What every wrong environment leads to: the whole of stderr, and whether the program starts.
#include <doctest/doctest.h>
#include <unistd.h>
#include <algorithm>

#include "procfs.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

/// Lines before the one on the lock itself, which these rows switch off.
const Names kLockNothing = {"CURRENT=0", "FUTURE=0"};

Finished run_with(const Names& variables, const Names& more = {}) {
  Launch launch = shimmed("report", {}, variables);
  add_variables(launch, more);
  return run(launch);
}

/// Each text as a line of its own.
std::string lines_of(const Finished& finished, const std::vector<std::string>& texts) {
  std::string lines;
  for (const std::string& text : texts) {
    lines += line_of(finished, "report", text);
  }
  return lines;
}

struct Row {
  Names variables;
  std::vector<std::string> texts;  // all of stderr
  std::string_view how = "exit 0";
};

void check_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const Finished finished = run_with(row.variables);
    CAPTURE(row.variables.front());
    CHECK(finished.err == lines_of(finished, row.texts));
    CHECK(finished.how() == row.how);
    CHECK(finished.out.empty() == (row.how != "exit 0"));
  }
}

std::vector<std::string> with_nothing(std::vector<std::string> texts) {
  texts.push_back(expected::nothing_to_lock());
  return texts;
}

using expected::bad_value;
using expected::unknown_name;

}  // namespace

TEST_SUITE("configuration") {
  TEST_CASE("best effort: one line for each error, the default in its place, and it starts") {
    check_rows({
        {{"CURRENT=0", "FUTURE=0"}, with_nothing({})},
        {{"CURRENT=off", "FUTURE=No"}, with_nothing({})},
        {{"CURRENT=FALSE", "FUTURE=oFF", "ONFAULT=0"}, with_nothing({})},
        {{"ONFAULT=2", "CURRENT=0", "FUTURE=0"}, with_nothing({bad_value("ONFAULT", "\"2\"")})},
        {{"FORK=Lazy", "CURRENT=0", "FUTURE=0"}, with_nothing({bad_value("FORK", "\"Lazy\"")})},
        {{"FORK=lazy ", "CURRENT=0", "FUTURE=0"}, with_nothing({bad_value("FORK", "\"lazy \"")})},
        {{"LOG=INFO", "CURRENT=0", "FUTURE=0"}, with_nothing({bad_value("LOG", "\"INFO\"")})},
        {{"RAISE_LIMIT=10", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("RAISE_LIMIT", "\"10\"")})},
        {{"REALTIME=100", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("REALTIME", "\"100\"")})},
        {{"PROFILE=swap", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("PROFILE", "\"swap\"")})},
        {{"ONLY=/bin/report", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("ONLY", "\"/bin/report\"")})},
        {{"THREAD_STACK=8K", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("THREAD_STACK", "\"8K\"")})},
        {{"THREAD_STACK=2G", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("THREAD_STACK", "\"2G\"")})},
        {{"ARENAS=0", "CURRENT=0", "FUTURE=0"}, with_nothing({bad_value("ARENAS", "\"0\"")})},
        {{"ONFAULT=1x", "RAISE_LIMIT= 1", "FORK=,", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("ONFAULT", "\"1x\""), bad_value("RAISE_LIMIT", "\" 1\""),
                       bad_value("FORK", "\",\"")})},
        {{"ONFAULT=1", "CURRENT=0", "FUTURE=0"}, with_nothing({expected::onfault_of_nothing()})},
    });
  }

  TEST_CASE("an unknown name, and the nearest that is known") {
    struct {
      std::string_view variable;
      std::string_view quoted;
      std::string_view nearest;
    } const rows[] = {
        {"FUTUR=1", "FUTUR", "FUTURE"},
        {"REQUIRE=1", "REQUIRE", "REQUIRED"},
        {"REQUIRED_=1", "REQUIRED_", "REQUIRED"},
        {"FROK=off", "FROK", "FORK"},
        {"RAISELIMIT=1", "RAISELIMIT", "RAISE_LIMIT"},
        {"ON_FAULT=1", "ON_FAULT", "ONFAULT"},
        {"LOGG=info", "LOGG", "LOG"},
        {"required=1", "required", "REQUIRED"},
    };
    for (const auto& row : rows) {
      const Finished finished = run_with({row.variable}, kLockNothing);
      const std::string quoted = "\"DUENDE_MLOCK_" + std::string(row.quoted) + '"';
      CHECK(finished.err == lines_of(finished, with_nothing({unknown_name(quoted, row.nearest)})));
      CHECK(finished.how() == "exit 0");
    }
  }

  TEST_CASE("REQUIRED fails closed") {
    check_rows({
        {{"REQUIRED=1", "FORK=x"}, {bad_value("FORK", "\"x\"")}, "signal 6"},
        {{"FORK=x", "REQUIRED=1"}, {bad_value("FORK", "\"x\"")}, "signal 6"},
        {{"REQUIRED=ON", "FUTUR=1"},
         {unknown_name("\"DUENDE_MLOCK_FUTUR\"", "FUTURE")},
         "signal 6"},
        {{"REQUIRED=2"}, {bad_value("REQUIRED", "\"2\"")}, "signal 6"},
        {{"REQUIRED=1 "}, {bad_value("REQUIRED", "\"1 \"")}, "signal 6"},
        {{"REQUIRED=x", "FORK=x"},
         {bad_value("REQUIRED", "\"x\""), bad_value("FORK", "\"x\"")},
         "signal 6"},
        {{"REQUIRED=1", "ONFAULT=1", "CURRENT=0", "FUTURE=0"},
         {expected::onfault_of_nothing()},
         "signal 6"},
        {{"REQUIRED=yes", "CURRENT=0", "FUTURE=0"}, {expected::nothing_to_lock()}},
        {{"REQUIRED=x", "LOG=off"}, {}, "signal 6"},
    });
  }

  TEST_CASE("empty is unset, for every variable") {
    for (const expected::Variable& variable : expected::variables()) {
      const std::string empty = std::string(variable.name) + '=';
      const Finished unset = run_with({});
      const Finished set = run_with({empty});
      CAPTURE(empty);
      CHECK(set.how() == unset.how());
      CHECK(set.err ==
            with_numbers_of(unset.err.substr(0, 13) + '#' + unset.err.substr(unset.err.find(']')),
                            set.err));
    }
  }

  TEST_CASE("every value that is documented is accepted, and the default stands for itself") {
    for (const expected::Variable& variable : expected::variables()) {
      std::string_view words = variable.samples;
      while (!words.empty()) {
        const std::string_view word = words.substr(0, words.find(' '));
        words.remove_prefix(std::min(words.size(), word.size() + 1));
        const std::string setting = std::string(variable.name) + '=' + std::string(word);
        CAPTURE(setting);
        const Finished finished = run_with({setting, "ONFAULT=0"}, kLockNothing);
        CHECK(finished.how() == "exit 0");
        CHECK(finished.err.find("is not accepted") == std::string::npos);
      }
    }
  }

  TEST_CASE("of several entries of one name the first counts") {
    check_rows({
        {{"CURRENT=0", "FUTURE=0", "CURRENT=1", "FUTURE=1"}, with_nothing({})},
        {{"REQUIRED=0", "REQUIRED=1", "FORK=x", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("FORK", "\"x\"")})},
        {{"REQUIRED=1", "REQUIRED=0", "FORK=x"}, {bad_value("FORK", "\"x\"")}, "signal 6"},
        {{"REQUIRED=", "REQUIRED=1", "FORK=x", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("FORK", "\"x\"")})},
        {{"FORK=lazy", "FORK=x", "CURRENT=0", "FUTURE=0"}, with_nothing({})},
    });
  }

  TEST_CASE("control characters are escaped, and lines are short whatever a value holds") {
    const std::string largest(128 * 1024 - 64, 'x');  // as much as execve takes in one entry
    const std::string shown =
        '"' + std::string(64, 'x') + "\"... (" + std::to_string(largest.size()) + " bytes)";
    const std::string at_limit(64, 'y');
    const std::string name_shown = "\"DUENDE_MLOCK_" + std::string(64 - 13, 'x') + "\"... (" +
                                   std::to_string(13 + largest.size()) + " bytes)";
    const std::string large_value = "FORK=" + largest;
    const std::string large_name = largest + "=1";
    const std::string short_value = "FORK=" + at_limit;
    check_rows({
        {{"FORK=a\nb\tc\x1b[31m\x7f\xff", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("FORK", R"("a\x0ab\x09c\x1b[31m\x7f\xff")")})},
        {{R"(FORK=a"b\c)", "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("FORK", R"("a\"b\\c")")})},
        {{short_value, "CURRENT=0", "FUTURE=0"},
         with_nothing({bad_value("FORK", '"' + at_limit + '"')})},
        {{large_value, "CURRENT=0", "FUTURE=0"}, with_nothing({bad_value("FORK", shown)})},
    });
    const Finished finished = run_with({large_name}, kLockNothing);
    const std::string first = finished.err.substr(0, finished.err.find('\n'));
    CHECK(first.find("unknown variable " + name_shown + "; the nearest known one is") !=
          std::string::npos);
  }

  TEST_CASE("a MiB of wrong variables: bounded lines, and the program starts") {
    Launch launch = shimmed("report", {}, kLockNothing);
    launch.standard_error = Stream::file;
    const std::string value(100 * 1024, '\x01');
    for (int i = 0; i < 10; ++i) {
      launch.environment.push_back("DUENDE_MLOCK_" + std::to_string(i) + '=' + value);
    }
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 11);
    CHECK(finished.err.size() < 11 * 1000);
  }

  TEST_CASE("what is none of ours is none of ours") {
    Launch launch = shimmed("report", {}, kLockNothing);
    for (const std::string_view entry :
         {"DUENDE_MLOC=1", "DUENDE_MLOCK=1", "duende_mlock_x=1", "XDUENDE_MLOCK_X=1",
          "DUENDE_MLOCK_X", "", "=", "=DUENDE_MLOCK_X"}) {
      launch.environment.emplace_back(entry);
    }
    const Finished finished = run(launch);
    CHECK(finished.err == line_of(finished, "report", expected::nothing_to_lock()));
  }

  TEST_CASE("LOG: what is said at each level") {
    // How many lines the same run leaves at off, error, warn, info, debug.
    struct {
      std::string_view name;
      Names variables;
      std::vector<long> lines;
    } const rows[] = {
        {"information", {"CURRENT=0", "FUTURE=0"}, {0, 0, 0, 1, 1}},
        {"a warning", {"FORK=x", "CURRENT=0", "FUTURE=0"}, {0, 0, 1, 2, 2}},
        {"an error", {"FORK=x", "REQUIRED=1"}, {0, 1, 1, 1, 1}},
    };
    constexpr std::string_view kLevels[] = {"off", "error", "warn", "info", "debug"};
    for (const auto& row : rows) {
      for (std::size_t level = 0; level < std::size(kLevels); ++level) {
        const std::string log = "LOG=" + std::string(kLevels[level]);
        const Finished finished = run_with(row.variables, {log});
        CAPTURE(row.name);
        CAPTURE(log);
        CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == row.lines[level]);
      }
    }
  }

  TEST_CASE("the name of the program is made harmless") {
    Launch launch = shimmed("report", {}, kLockNothing);
    launch.arguments = {"/bin/sh", "-c", "exit 3"};
    const std::string folder = Stage::get().empty_folder("names");
    const std::string odd = folder + "/a b\n\x1b" + std::string(40, 'z');
    REQUIRE(::symlink("/bin/sh", odd.c_str()) == 0);
    launch.arguments[0] = odd;
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 3");
    CHECK(finished.err ==
          line_of(finished, "a?b??" + std::string(26, 'z'), expected::nothing_to_lock()));
  }
}

}  // namespace duende::mlock::test
