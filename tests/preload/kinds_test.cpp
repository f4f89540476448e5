// SPDX-License-Identifier: MIT OR Apache-2.0
// Every kind of mapping under every setting: what is locked, resident, and given back on advice.
#include <doctest/doctest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <map>
#include <optional>
#include <sstream>

#include "check.hpp"
#include "precondition.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

/// What the kernel does with a page of it that it wants back.
enum class Kind : unsigned char {
  swappable,  // writes it to swap
  code,       // drops it, and reads it back from the program's file
  data,       // the same of a file that the program has mapped
};
using enum Kind;

struct Mapping {
  std::string_view name;
  Kind kind;
};

constexpr Mapping kMappings[] = {
    {"anonymous", swappable},
    {"anonymous-read-only", swappable},
    {"shared-anonymous", swappable},
    {"memfd", swappable},
    {"private-memfd", swappable},
    {"tmpfs", swappable},
    {"tmpfs-read-only", swappable},
    {"heap", swappable},
    {"large-heap", swappable},
    {"thread-stack", swappable},
    {"file-private-writable", swappable},  // pages that were written to are anonymous
    {"file-private", data},
    {"file-shared", data},
    {"file-shared-writable", data},
    {"file-executable", code},
    {"anonymous-in-file", swappable},
    {"file-around-anonymous", data},
};
constexpr Mapping kLibrary[] = {
    {"library-constants", code},
    {"library-variables", swappable},
};

/// Which of the mappings made after the start are locked.
enum class Later : unsigned char {
  unspecified,  // future locks are left out under a finite limit, and yet the stack's are not
  code_only,    // all but data files
  everything,
};

struct Setting {
  Names variables;
  Later process;
  Later child;  // where everything is mapped already
  bool populated;
};

const Setting kSettings[] = {
    {{"FUTURE="}, Later::unspecified, Later::code_only, false},
    {{"FUTURE=1"}, Later::code_only, Later::code_only, false},
    {{"FUTURE=1", "FORK=full"}, Later::code_only, Later::code_only, false},
    {{"FUTURE=1", "FILES=all"}, Later::everything, Later::everything, false},
    {{"FILES=all"}, Later::unspecified, Later::everything, false},
    {{"ONFAULT=0"}, Later::unspecified, Later::everything, false},
    {{"FUTURE=1", "ONFAULT=0"}, Later::everything, Later::everything, true},
    {{"FUTURE=1", "ONFAULT=0", "FILES=code"}, Later::code_only, Later::code_only, true},
};

/// For advice, what is locked is all that matters.
const Names kAdvised[] = {
    {"FUTURE="}, {"FUTURE=1"}, {"FUTURE=1", "FILES=all"}, {"FUTURE=1", "ONFAULT=0"}};

struct Seen {
  bool locked = false;
  int resident = 0;
  int pages = 0;
};

using Report = std::map<std::string, Seen>;  // by `process NAME` and `child NAME`

Report report_of(const std::string& out) {
  Report report;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string where, name, word;
    Seen seen;
    words >> where >> name >> word >> seen.locked >> word >> seen.resident >> word >> seen.pages;
    if (words && (where == "process" || where == "child")) {
      report[where + ' ' + name] = seen;
    }
  }
  return report;
}

Seen seen_in(const Report& report, const std::string& key) {
  REQUIRE_MESSAGE(report.count(key) == 1, key);
  return report.at(key);
}

std::optional<bool> is_locked(Later later, Kind kind) {
  if (later == Later::unspecified && kind != data) {
    return std::nullopt;
  }
  return kind != data || later == Later::everything;
}

void check_mapping(const Report& report, const Setting& setting, const Mapping& mapping) {
  CAPTURE(mapping.name);
  const Seen process = seen_in(report, "process " + std::string(mapping.name));
  const Seen child = seen_in(report, "child " + std::string(mapping.name));
  if (const auto expected = is_locked(setting.process, mapping.kind)) {
    CHECK(process.locked == *expected);
  }
  if (const auto expected = is_locked(setting.child, mapping.kind)) {
    CHECK(child.locked == *expected);
  }
  if (setting.populated && process.locked) {
    CHECK(process.resident == process.pages);
  }
}

/// Touched to the half, and no more than that comes on fault.
void check_touched(const Report& report, const Report& without, const Setting& setting) {
  for (const std::string_view name : {"anonymous", "shared-anonymous"}) {
    CAPTURE(name);
    const std::string key = "process " + std::string(name);
    CHECK((seen_in(report, key).resident == seen_in(without, key).resident) != setting.populated);
  }
}

bool on_a_disk(const std::string& folder) {
  struct statfs system = {};
  check(::statfs(folder.c_str(), &system), "statfs " + folder);
  return system.f_type != TMPFS_MAGIC;
}

struct Host {
  std::string name;
  std::vector<std::string> arguments;
  bool has_library;
};

std::vector<Host> hosts(const std::string& report) {
  std::vector<Host> found;
  const std::string folder = Stage::get().empty_folder("files");
  if (!on_a_disk(folder)) {
    skip("a file system on a disk in " + folder + " (TMPDIR=/var/tmp may be one)");
    return found;
  }
  found.push_back({"kinds", {folder, report, Stage::get().host("plugin.so")}, true});
  if (Stage::get().has_host("musl-kinds")) {
    found.push_back({"musl-kinds", {folder, report}, false});
  }
  return found;
}

Launch as_root(Launch launch) {
  launch.identity = Identity::root;
  limit_locking(launch, kDefaultLimit);
  return launch;
}

bool root_is_missing() {
  const auto missing = missing_for(Identity::root);
  return missing && skip(*missing);
}

/// The lines that begin with one of the words, without what a lock may change.
std::string comparable(const std::string& out) {
  std::string text;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("advice ", 0) == 0 || line.rfind("call ", 0) == 0) {
      text += line.substr(0, line.find(" locked ")) + '\n';
    }
  }
  return text;
}

struct Advised {
  std::string line;
  std::string advice;
  int answer = 0;
  int locked_before = 0;
  int locked_after = 0;
  int left = 0;
};

std::vector<Advised> advised_in(const std::string& out) {
  std::vector<Advised> all;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, kind, part;
    Advised advised;
    words >> word >> kind >> advised.advice >> part >> word >> advised.answer >> word;
    if (line.rfind("advice ", 0) != 0 || line.find(" locked ") == std::string::npos) {
      continue;
    }
    std::istringstream rest(line.substr(line.find(" locked ") + 8));
    rest >> advised.locked_before >> advised.locked_after >> word >> advised.left;
    advised.line = line;
    all.push_back(advised);
  }
  return all;
}

/// No length asks whether this kernel has it.
bool has_advice(int advice) { return ::madvise(nullptr, 0, advice) == 0; }
constexpr int kCold = 20;            // Linux 5.4
constexpr int kPopulateRead = 22;    // Linux 5.14
constexpr int kDontneedLocked = 24;  // Linux 5.18

/// Nothing is left unlocked that was locked; as much is given back. Without MADV_COLD the library
/// cannot tell what was not.
void check_advised(const std::string& with, const std::string& without) {
  const auto here = advised_in(with);
  const auto there = advised_in(without);
  REQUIRE(here.size() == there.size());
  REQUIRE(here.size() > 200);
  for (std::size_t i = 0; i < here.size(); ++i) {
    CAPTURE(here[i].line);
    CAPTURE(there[i].line);
    CHECK(here[i].locked_after >= here[i].locked_before);
    CHECK((here[i].locked_after == here[i].locked_before || !has_advice(kCold)));
    if (here[i].answer == 0 && (here[i].advice == "DONTNEED" || here[i].advice == "REMOVE")) {
      CHECK(here[i].left == there[i].left);
    }
  }
}

std::string lines_that_differ(const std::string& with, const std::string& without) {
  std::istringstream here(comparable(with)), there(comparable(without));
  std::string differences;
  for (std::string one, other; std::getline(here, one) && std::getline(there, other);) {
    // Unlocking, which it takes without MADV_DONTNEED_LOCKED, ends at a hole.
    const bool same =
        one == other || (one.starts_with("call hole ") && !has_advice(kDontneedLocked));
    differences += same ? "" : one + "\n  without the library: " + other + '\n';
  }
  return differences;
}

}  // namespace

TEST_SUITE("kinds") {
  TEST_CASE("locked, here and in a child") {
    if (root_is_missing()) {
      return;
    }
    for (const Host& host : hosts("locked")) {
      const Finished without = run(as_root(plain(host.name, host.arguments)));
      REQUIRE(without.how() == "exit 0");
      for (const Setting& setting : kSettings) {
        CAPTURE(host.name);
        CAPTURE(setting.variables.front());
        CAPTURE(setting.variables.back());
        const Finished finished =
            run(as_root(shimmed(host.name, host.arguments, setting.variables)));
        REQUIRE(finished.how() == "exit 0");
        const Report report = report_of(finished.out);
        for (const Mapping& mapping : kMappings) {
          check_mapping(report, setting, mapping);
        }
        CHECK(seen_in(report, "process own-map-locked").locked);
        CHECK(seen_in(report, "process own-mlock").locked);
        check_touched(report, report_of(without.out), setting);
        check_mapping(report, setting, {"stack", swappable});
        for (const Mapping& mapping : kLibrary) {
          if (host.has_library) {
            check_mapping(report, setting, mapping);
          }
        }
      }
    }
  }
}

TEST_SUITE("resident") {
  TEST_CASE("a library that is loaded later is resident as one that was there") {
    if (root_is_missing()) {
      return;
    }
    for (const Host& host : hosts("locked")) {
      if (!host.has_library) {
        continue;
      }
      for (const Names& variables : {Names{"FUTURE="}, Names{"FUTURE=1"}}) {
        CAPTURE(variables.front());
        const Finished finished = run(as_root(shimmed(host.name, host.arguments, variables)));
        const Seen seen = seen_in(report_of(finished.out), "process library-constants");
        CHECK(seen.locked);
        CHECK((seen.resident == seen.pages || !has_advice(kPopulateRead)));
      }
    }
  }
}

TEST_SUITE("advice") {
  TEST_CASE("answers, contents and what is given back are the same as without") {
    if (root_is_missing()) {
      return;
    }
    for (const Host& host : hosts("advice")) {
      const Finished without = run(as_root(plain(host.name, host.arguments)));
      REQUIRE(without.how() == "exit 0");
      for (const Names& variables : kAdvised) {
        CAPTURE(host.name);
        CAPTURE(variables.back());
        const Finished finished = run(as_root(shimmed(host.name, host.arguments, variables)));
        CHECK(finished.how() == "exit 0");
        CHECK(lines_that_differ(finished.out, without.out) == "");
        check_advised(finished.out, without.out);
      }
    }
  }

  TEST_CASE("a user under a limit that binds") {
    if (const auto missing = missing_for(Identity::user)) {
      skip(*missing);
      return;
    }
    for (const Host& host : hosts("advice")) {
      Launch bare = as_root(plain(host.name, host.arguments));
      Launch locked = as_root(shimmed(host.name, host.arguments));
      bare.identity = locked.identity = Identity::user;
      const Finished without = run(bare);
      const Finished finished = run(locked);
      REQUIRE(without.how() == "exit 0");
      CHECK(finished.how() == "exit 0");
      CHECK(lines_that_differ(finished.out, without.out) == "");
      check_advised(finished.out, without.out);
    }
  }
}

}  // namespace duende::mlock::test
