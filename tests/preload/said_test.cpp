// SPDX-License-Identifier: MIT OR Apache-2.0
// One line a daemon: what its parent or another of its tree has said is not said again, and nothing
// is written to what only has the number of stderr.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

constexpr Place kHere = Place::podman;

/// A shell that starts another program: the first is served by the library, the second as well.
struct Row {
  std::string_view what;
  Identity identity;
  rlim_t limit;
  Names variables;
  std::string script;
  std::vector<std::string> speakers;  // a line each, in this order
};

std::vector<Row> rows() {
  const std::string helper = "/bin/true; :";
  return {
      {"without reserve but for the capability", Identity::root, kDefaultLimit, {}, helper, {"sh"}},
      {"current alone", Identity::root, kDefaultLimit, {"FUTURE=0"}, helper, {"sh"}},
      {"the limit binds", Identity::user, kDefaultLimit, {}, helper, {"sh"}},
      {"as told", Identity::user, kDefaultLimit, {"FUTURE=1"}, helper, {"sh"}},
      {"another name for a variable",
       Identity::user,
       kDefaultLimit,
       {"FROK=x"},
       helper,
       {"sh", "sh"}},
      {"what else was asked for",
       Identity::user,
       kDefaultLimit,
       {"PROFILE=swap-device"},
       helper,
       {"sh", "sh", "sh"}},
      {"debug shows all", Identity::user, kDefaultLimit, {"LOG=debug"}, helper, {"sh", "true"}},
      {"another limit",
       Identity::user,
       kDefaultLimit,
       {},
       "ulimit -l 4; /bin/true; :",
       {"sh", "true"}},
      {"another capability",
       Identity::root,
       kDefaultLimit,
       {},
       "setpriv --bounding-set=-ipc_lock --inh-caps=-all --reuid=65534 --clear-groups /bin/true; :",
       {"sh"}},
      {"the parent is not locked either", Identity::user, 0, {}, helper, {"sh"}},
      {"one process, by exec",
       Identity::user,
       kDefaultLimit,
       {},
       "exec /bin/sh -c 'exec /bin/true'",
       {"sh"}},
      {"the parent is left out", Identity::user, kDefaultLimit, {"ONLY=true"}, helper, {"true"}},
      {"many, and in a substitution",
       Identity::user,
       kDefaultLimit,
       {},
       "x=$(/bin/true 2>&1; /bin/true 2>&1); /bin/true; test -z \"$x\" || exit 9",
       {"sh"}},
  };
}

/// Who said something, line by line.
std::vector<std::string> speakers(const std::string& error) {
  std::vector<std::string> all;
  std::istringstream lines(error);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find("] ") + 2;
    all.push_back(line.substr(begin, line.find(':') - begin));
  }
  return all;
}

}  // namespace

TEST_SUITE("parents") {
  TEST_CASE("a program that a locked one starts is silent, unless it became something else") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Row& row : rows()) {
      if (is_missing(row.identity)) {
        continue;
      }
      Launch launch = placed(kHere, "report", {}, row.variables);
      launch.arguments = {"/bin/sh", "-c", row.script};
      launch.environment.emplace_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
      launch.identity = row.identity;
      limit_locking(launch, row.limit);
      const Finished finished = run(launch);
      CAPTURE(row.what);
      CAPTURE(finished.err);
      CHECK(finished.how() == "exit 0");
      CHECK(speakers(finished.err) == row.speakers);
    }
  }

  TEST_CASE("REQUIRED: a helper that aborts says why") {
    if (surroundings_are_missing() || is_missing(Identity::user)) {
      return;
    }
    Launch launch = placed(kHere, "report", {});
    launch.arguments = {"/bin/sh", "-c", "ulimit -l 4; DUENDE_MLOCK_REQUIRED=1 /bin/true; :"};
    launch.identity = Identity::user;
    limit_locking(launch, kDefaultLimit);
    const std::string error = run(launch).err;
    CHECK(error.find("true: not locked, and DUENDE_MLOCK_REQUIRED is on: ") != std::string::npos);
  }
}

TEST_SUITE("tree") {
  TEST_CASE("children and theirs say a thing once") {
    if (surroundings_are_missing() || is_missing(Identity::root)) {
      return;
    }
    Launch launch = placed(kHere, "family", {"forks", "20"}, {"FUTURE=1"});
    launch.identity = Identity::root;
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    const std::string fix = "; fix: " + expected::fix_of_limit(kHere);
    const std::string start =
        any_line("family", expected::exempt_until_dropped(kDefaultLimit) + fix);
    const std::string drop = any_line("family", expected::dropped(kDefaultLimit, false) + fix);
    CHECK(finished.err.find(with_numbers_of(start + drop, finished.err)) == 0);
    CHECK(speakers(finished.err).size() <= 3);

    Launch loud = launch;
    add_variables(loud, {"LOG=debug"});
    CHECK(speakers(run(loud).err).size() >= 42);
  }
}

TEST_SUITE("stderr") {
  TEST_CASE("its number is another file's") {
    if (surroundings_are_missing() || is_missing(Identity::root)) {
      return;
    }
    const std::string path = Stage::get().empty_folder("reused") + "/database";
    Launch launch = placed(kHere, "family", {"reuse", path}, {"FUTURE=1"});
    launch.identity = Identity::root;
    limit_locking(launch, kDefaultLimit);
    for (const Stream stream : {Stream::pipe, Stream::file, Stream::terminal}) {
      launch.standard_error = stream;
      CAPTURE(name_of(stream));
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(finished.out == "database\n");
      CHECK(speakers(finished.err).size() == 1);
    }
  }

  TEST_CASE("a regular file takes what follows, where it was before main") {
    if (surroundings_are_missing() || is_missing(Identity::root)) {
      return;
    }
    Launch launch = placed(kHere, "family", {"forks", "1"}, {"FUTURE=1"});
    launch.identity = Identity::root;
    limit_locking(launch, kDefaultLimit);
    launch.standard_error = Stream::file;
    CHECK(speakers(run(launch).err).size() >= 2);
  }
}

}  // namespace duende::mlock::test
