// SPDX-License-Identifier: MIT OR Apache-2.0
// Root given up, in every way: nothing the daemon needs fails, and the calls are what they were.
#include <doctest/doctest.h>
#include <algorithm>
#include <sstream>

#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

constexpr Place kHere = Place::docker;

constexpr const char* kSetuidFamily[] = {"setuid", "seteuid", "setreuid", "setresuid"};

/// What is left of CAP_IPC_LOCK.
struct Way {
  const char* name;
  bool permitted;
};
constexpr Way kWays[] = {{"setuid", false},          {"setuid+keep", true},
                         {"seteuid", true},          {"seteuid+keep", true},
                         {"setreuid", false},        {"setreuid+keep", true},
                         {"setresuid", false},       {"setresuid+keep", true},
                         {"capset-effective", true}, {"capset-permitted", false}};

Launch dropper(const std::string& way, const char* what, rlim_t limit, const Names& variables = {},
               const std::string& host = "dropper") {
  Launch launch = placed(kHere, host, {way, what}, {"FUTURE=1"});
  add_variables(launch, variables);
  launch.identity = Identity::root;
  limit_locking(launch, limit);
  return launch;
}

std::string fix() { return "; fix: " + expected::fix_of_limit(kHere); }

std::string start_line(rlim_t limit, std::string_view host = "dropper") {
  const bool small = host.substr(0, 5) == "musl-";
  return any_line(host, expected::exempt_until_dropped(limit, small ? "KB" : "MB") + fix());
}

std::string drop_line(rlim_t limit, bool required = false, std::string_view host = "dropper") {
  return any_line(host, expected::dropped(limit, required) + fix());
}

std::string child_line(rlim_t limit, bool permitted) {
  const std::string state = permitted ? "CAP_IPC_LOCK is permitted but not effective"
                                      : expected::state_as_user(kCapIpcLock, "IPC_LOCK");
  const bool fits = limit == kDefaultLimit;
  return any_line("dropper", (fits ? expected::child_current_only(limit, state)
                                   : expected::child_too_large(limit, state)) +
                                 fix());
}

bool root_is_missing() { return surroundings_are_missing() || is_missing(Identity::root); }

bool is_locked(std::string_view text, std::string_view name) {
  return flags_of_mapping(text, name).find(" lo ") != std::string::npos;
}

long count_lines(const std::string& text, const std::string& line) {
  std::istringstream lines(text);
  long count = 0;
  for (std::string each; std::getline(lines, each);) {
    count += each == line ? 1 : 0;
  }
  return count;
}

/// Every mapping that can be.
void check_all_locked(std::string_view text) {
  for (const SmapsEntry& entry : parse_smaps(text)) {
    CAPTURE(entry.path);
    CHECK((entry.is("lo") || entry.path.substr(0, 2) == "[v"));
  }
}

}  // namespace

TEST_SUITE("privileges") {
  TEST_CASE("dropped for good, in every way: it and its children get all the memory they need") {
    if (root_is_missing()) {
      return;
    }
    for (const Way& way : kWays) {
      for (const rlim_t limit : {kDefaultLimit, 2 * kMiB}) {
        const Finished finished = run(dropper(way.name, "work", limit));
        CAPTURE(way.name);
        CAPTURE(limit);
        CHECK(finished.how() == "exit 0");
        CHECK(field(finished.out, "child ") == "0");
        CHECK(field(finished.out, "errno ") == "77");
        const std::string_view parent = section(finished.out, "parent");
        REQUIRE(!parent.empty());
        CHECK(number(parent, "VmLck:") > 0);
        CHECK(!is_locked(parent, "later"));
        check_error(finished,
                    start_line(limit) + drop_line(limit) + child_line(limit, way.permitted));
      }
    }
  }

  TEST_CASE("dropped by a child") {
    if (root_is_missing()) {
      return;
    }
    for (const char* const way : {"setuid", "capset-effective"}) {
      const Finished finished = run(dropper(way, "forked", kDefaultLimit));
      CAPTURE(way);
      CHECK(finished.how() == "exit 0");
      CHECK(field(finished.out, "child ") == "0");
      CHECK(number(finished.out, "VmLck:") > 0);
      CHECK(is_locked(section(finished.out, "parent"), "later"));
      check_error(finished, start_line(kDefaultLimit) + drop_line(kDefaultLimit));
    }
  }

  TEST_CASE("dropped and taken back, and then dropped by a child: told of once") {
    if (root_is_missing()) {
      return;
    }
    const Finished finished = run(dropper("seteuid", "again-forked", kDefaultLimit));
    CHECK(finished.how() == "exit 0");
    CHECK(field(finished.out, "child ") == "0");
    CHECK(is_locked(section(finished.out, "parent"), "later"));
    check_error(finished, start_line(kDefaultLimit) + drop_line(kDefaultLimit));
  }

  TEST_CASE("FORK=off: the child is left alone, and the parent stays locked") {
    if (root_is_missing()) {
      return;
    }
    const Finished finished = run(dropper("setuid", "forked", kDefaultLimit, {"FORK=off"}));
    CHECK(finished.how() == "exit 0");
    CHECK(field(finished.out, "child ") == "0");
    CHECK(number(finished.out, "VmLck:") == 0);
    CHECK(is_locked(section(finished.out, "parent"), "later"));
    check_error(finished, start_line(kDefaultLimit));
  }

  TEST_CASE("REQUIRED: it aborts at the drop") {
    if (root_is_missing()) {
      return;
    }
    for (const Way& way : kWays) {
      const Finished finished = run(dropper(way.name, "work", kDefaultLimit, {"REQUIRED=1"}));
      CAPTURE(way.name);
      CHECK(finished.how() == "signal 6");
      CHECK(finished.out.empty());
      check_error(finished, start_line(kDefaultLimit) + drop_line(kDefaultLimit, true));
    }
  }

  TEST_CASE("taken back: everything is locked again") {
    if (root_is_missing()) {
      return;
    }
    const Finished finished = run(dropper("seteuid", "again", kDefaultLimit));
    REQUIRE(finished.how() == "exit 0");
    const std::string_view back = section(finished.out, "back");
    const std::size_t returned = finished.out.find("== back");
    CHECK(!is_locked(std::string_view(finished.out).substr(0, returned), "between"));
    CHECK(is_locked(finished.out, "between"));
    CHECK(is_locked(back, "afterwards"));
    check_all_locked(back);
    check_error(finished, start_line(kDefaultLimit) + drop_line(kDefaultLimit));
  }

  TEST_CASE("back and forth: the stack grows on either side, and the first drop is told of") {
    if (root_is_missing()) {
      return;
    }
    for (const rlim_t limit : {rlim_t{0}, 64 * kKiB, 2 * kMiB, kDefaultLimit}) {
      const Finished finished = run(dropper("seteuid", "grow", limit));
      CAPTURE(limit);
      CHECK(finished.how() == "exit 0");
      CHECK(number(finished.out, "VmLck:") * kKiB > 7 * kMiB);
      check_error(finished, start_line(limit) + drop_line(limit));
    }
  }

  TEST_CASE("in a musl program") {
    const std::string host = "musl-dropper";
    if (!Stage::get().has_host(host)) {
      skip("musl-gcc (Debian: musl-tools)");
      return;
    }
    if (root_is_missing()) {
      return;
    }
    for (const Way& way : kWays) {
      const Finished finished = run(dropper(way.name, "work", 64 * kKiB, {}, host));
      CAPTURE(way.name);
      CHECK(finished.how() == "exit 0");
      CHECK(field(finished.out, "child ") == "0");
      CHECK(number(section(finished.out, "parent"), "VmLck:") > 0);
      CHECK(finished.err.find(drop_line(64 * kKiB, false, host).substr(15)) != std::string::npos);
    }
    const Finished back = run(dropper("seteuid", "again", 64 * kKiB, {}, host));
    CHECK(back.how() == "exit 0");
    CHECK(is_locked(back.out, "between"));
    CHECK(is_locked(back.out, "afterwards"));
    CHECK(run(dropper("seteuid", "grow", 64 * kKiB, {}, host)).how() == "exit 0");
  }

  TEST_CASE("in a child of vfork: it is none of the parent's") {
    if (root_is_missing()) {
      return;
    }
    for (const char* const way : {"setuid", "setresuid", "capset-permitted"}) {
      const Finished finished = run(dropper(way, "vfork", kDefaultLimit));
      CAPTURE(way);
      CHECK(finished.how() == "exit 0");
      CHECK(field(finished.out, "child ") == "0");
      CHECK(is_locked(finished.out, "afterwards"));
      check_error(finished, start_line(kDefaultLimit));
    }
  }

  TEST_CASE("with threads: all of them change") {
    if (root_is_missing()) {
      return;
    }
    for (const std::string host : {"dropper", "musl-dropper"}) {
      if (!Stage::get().has_host(host)) {
        skip("musl-gcc (Debian: musl-tools)");
        continue;
      }
      for (const char* const way : kSetuidFamily) {
        const Finished finished = run(dropper(way, "threads", kDefaultLimit, {}, host));
        const bool real_stays = std::string_view(way) == "seteuid";
        const std::string own =
            real_stays ? "Uid:\t0\t65534\t0\t65534" : "Uid:\t65534\t65534\t65534\t65534";
        CAPTURE(host);
        CAPTURE(way);
        CHECK(finished.how() == "exit 0");
        CHECK(count_lines(finished.out, own) == 9);
        check_error(finished,
                    start_line(kDefaultLimit, host) + drop_line(kDefaultLimit, false, host));
      }
    }
  }

  TEST_CASE("all day: nothing is missing after a thousand times, nor is the stack's growth") {
    if (root_is_missing()) {
      return;
    }
    for (const std::string_view times : {"999", "1000", "1500"}) {
      Launch launch = placed(kHere, "toggler", {std::string(times), "work"}, {"FUTURE=1"});
      launch.identity = Identity::root;
      limit_locking(launch, kDefaultLimit);
      const Finished finished = run(launch);
      CAPTURE(times);
      CHECK(finished.how() == "exit 0");
      CHECK(number(finished.out, "VmLck:") > 0);
      check_error(finished, start_line(kDefaultLimit, "toggler") +
                                drop_line(kDefaultLimit, false, "toggler"));
    }
  }

  TEST_CASE("in a signal handler, in the middle of malloc") {
    if (root_is_missing()) {
      return;
    }
    Launch launch = placed(kHere, "toggler", {"300", "signals"}, {"FUTURE=1"});
    launch.identity = Identity::root;
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(finished.out == "survived\n");
    check_error(finished,
                start_line(kDefaultLimit, "toggler") + drop_line(kDefaultLimit, false, "toggler"));
  }

  TEST_CASE("results and errno are those of the calls") {
    for (const Identity identity : {Identity::root, Identity::user, Identity::user_may_lock}) {
      for (const std::string host : {"dropper", "musl-dropper"}) {
        if (is_missing(identity) || !Stage::get().has_host(host)) {
          continue;
        }
        Launch bare = plain(host, {"none", "exact"});
        Launch locked = shimmed(host, {"none", "exact"});
        bare.identity = locked.identity = identity;
        const Finished without = run(bare);
        const Finished with = run(locked);
        CAPTURE(name_of(identity));
        CAPTURE(host);
        REQUIRE(without.how() == "exit 0");
        CHECK(field(without.out, "setuid(-1) ") == "-1 22");
        CHECK(field(without.out, "setresuid(0, 0, 0) ").substr(0, 2) ==
              (identity == Identity::root ? "0 " : "-1"));
        CHECK(with.how() == without.how());
        CHECK(with.out == without.out);
      }
    }
  }
}

namespace {

/// The system calls from the first of the wrapped ones on, without what they are given.
std::vector<std::string> calls_of(const Finished& finished) {
  std::vector<std::string> calls;
  std::istringstream lines(finished.err);
  bool begun = false;
  for (std::string line; std::getline(lines, line);) {
    begun = begun || line.find("setuid(") == 0;
    if (begun && line.find('(') != std::string::npos) {
      calls.push_back(line.substr(0, line.find('(')));
    }
  }
  return calls;
}

/// A wrapped call makes no system call of its own.
void check_straight_through(Identity identity, rlim_t limit) {
  if (is_missing(identity)) {
    return;
  }
  Launch bare = plain("dropper", {"none", "exact"});
  Launch locked = shimmed("dropper", {"none", "exact"}, {"LOG=off"});
  for (Launch* launch : {&bare, &locked}) {
    limit_locking(*launch, limit);
    launch->identity = identity;
  }
  const auto without = calls_of(run(traced(bare)));
  const auto with = calls_of(run(traced(locked)));
  REQUIRE(without.size() > 10);
  CHECK(with == without);
}

}  // namespace

TEST_SUITE("straight-through-user") {
  TEST_CASE("without the capability") {
    if (!strace_is_missing()) {
      check_straight_through(Identity::user, kDefaultLimit);
    }
  }
}

TEST_SUITE("straight-through-infinite") {
  TEST_CASE("where the limit is infinite") {
    const std::string missing = missing_for_limit(RLIM_INFINITY);
    if (!missing.empty()) {
      skip(missing);
      return;
    }
    if (!strace_is_missing()) {
      check_straight_through(Identity::root, RLIM_INFINITY);
    }
  }
}

}  // namespace duende::mlock::test
