// SPDX-License-Identifier: MIT OR Apache-2.0
// Every limit for every identity, best effort and required: how it ends, the line, what is locked.
#include <doctest/doctest.h>

#include "precondition.hpp"
#include "procfs.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

enum class Outcome : unsigned char {
  exempt,        // all locked, by the capability, as told
  lifted,        // as current_only: the capability may go unseen
  current_only,  // what is mapped later is left out
  headroom,      // all locked, as told, until the limit is reached
  no_limit,      // EPERM
  too_large,     // ENOMEM
};
using enum Outcome;

constexpr rlim_t kAsFound = RLIM_INFINITY - 1;

struct Row {
  rlim_t limit;
  Identity identity;
  Outcome best_effort;
  Outcome required;
};

constexpr Row kRows[] = {
    {0, Identity::root, lifted, exempt},
    {0, Identity::user, no_limit, no_limit},
    {0, Identity::user_may_lock, lifted, exempt},
    {0, Identity::root_of_namespace, no_limit, no_limit},
    {64 * kKiB, Identity::root, lifted, exempt},
    {64 * kKiB, Identity::user, too_large, too_large},
    {64 * kKiB, Identity::user_may_lock, lifted, exempt},
    {64 * kKiB, Identity::root_of_namespace, too_large, too_large},
    {2 * kMiB, Identity::root, lifted, exempt},
    {2 * kMiB, Identity::user, too_large, too_large},
    {2 * kMiB, Identity::user_may_lock, lifted, exempt},
    {2 * kMiB, Identity::root_of_namespace, too_large, too_large},
    {8 * kMiB, Identity::root, lifted, exempt},
    {8 * kMiB, Identity::user, current_only, headroom},
    {8 * kMiB, Identity::user_may_lock, lifted, exempt},
    {8 * kMiB, Identity::root_of_namespace, current_only, headroom},
    {64 * kMiB, Identity::root, lifted, exempt},
    {64 * kMiB, Identity::user, current_only, headroom},
    {64 * kMiB, Identity::user_may_lock, lifted, exempt},
    {64 * kMiB, Identity::root_of_namespace, current_only, headroom},
    {kAsFound, Identity::root, lifted, exempt},
    {kAsFound, Identity::user, current_only, headroom},
    {kAsFound, Identity::user_may_lock, lifted, exempt},
    {kAsFound, Identity::root_of_namespace, current_only, headroom},
};

rlim_t limit_as_found() {
  rlimit found = {};
  REQUIRE(::getrlimit(RLIMIT_MEMLOCK, &found) == 0);
  return found.rlim_max;  // up to which the library raises it
}

std::string expected_text(Outcome outcome, const Finished& finished, rlim_t limit,
                          Identity identity, bool required) {
  const auto locked = locked_at_main(finished);
  if (limit == RLIM_INFINITY) {
    return expected::locked(locked, "current and future, on-fault");
  }
  switch (outcome) {
    case exempt: return expected::exempt(locked, limit);
    case lifted: return expected::lifted(locked, limit);
    case current_only: return expected::current_only(locked, limit, identity);
    case headroom: return expected::headroom(locked, limit, identity);
    case no_limit: return expected::no_limit_at_all(identity, required);
    case too_large: return expected::too_large(limit, identity, required);
  }
  return {};
}

/// VmLck as main reads it, and again after it has mapped 64 KiB.
void check_memory(Outcome outcome, const Finished& finished) {
  const auto locked = locked_at_main(finished);
  const auto added = locked_after_mapping(finished) - locked;
  switch (outcome) {
    case exempt:
    case headroom:
      CHECK(locked > 0);
      CHECK(added == 64 * kKiB);
      return;
    case lifted:
    case current_only:
      CHECK(locked > 0);
      CHECK(locked < address_space_at_main(finished));
      CHECK(added == 0);
      return;
    case no_limit:
    case too_large:
      CHECK(locked == 0);
      CHECK(added == 0);
      return;
  }
}

void check_cell(const Row& row, bool required) {
  const rlim_t limit = row.limit == kAsFound ? limit_as_found() : row.limit;
  const bool infinite = limit == RLIM_INFINITY;
  const Outcome outcome = infinite ? exempt : required ? row.required : row.best_effort;
  Launch launch = shimmed("report");
  launch.identity = row.identity;
  add_variables(launch, {required ? "REQUIRED=1" : "REQUIRED=0"});
  if (row.limit != kAsFound) {
    limit_locking(launch, limit);
  }
  CAPTURE(name_of(row.identity));
  CAPTURE(expected::limit(limit));
  CAPTURE(required);

  const Finished finished = run(launch);

  const bool aborts = required && (outcome == no_limit || outcome == too_large);
  CHECK(finished.how() == (aborts ? "signal 6" : "exit 0"));
  CHECK(finished.out.empty() == aborts);
  CHECK(finished.err ==
        with_numbers_of(line_of(finished, "report",
                                expected_text(outcome, finished, limit, row.identity, required)),
                        finished.err));
  check_memory(outcome, finished);
}

/// `large`: the limits that the default hard limit does not allow.
void check_rows(Identity identity, bool large) {
  if (const auto missing = missing_for(identity)) {
    skip(*missing);
    return;
  }
  for (const Row& row : kRows) {
    const bool is_large = row.limit != kAsFound && row.limit > kDefaultLimit;
    if (row.identity != identity || is_large != large) {
      continue;
    }
    const std::string missing =
        row.limit == kAsFound ? std::string() : missing_for_limit(row.limit);
    if (!missing.empty()) {
      skip(missing);
      continue;
    }
    check_cell(row, false);
    check_cell(row, true);
  }
}

/// Best effort: a program that needs memory in every way runs as if the library were not there.
void check_workload(Identity identity) {
  if (const auto missing = missing_for(identity)) {
    skip(*missing);
    return;
  }
  for (const rlim_t limit : {rlim_t{0}, 64 * kKiB, 2 * kMiB, 4 * kMiB, 8 * kMiB, kAsFound}) {
    Launch bare = plain("workload");
    Launch locked = shimmed("workload");
    for (Launch* launch : {&bare, &locked}) {
      launch->identity = identity;
      if (limit != kAsFound) {
        limit_locking(*launch, limit);
      }
    }
    CAPTURE(name_of(identity));
    CAPTURE(limit);
    const Finished without = run(bare);
    const Finished with = run(locked);
    REQUIRE(without.how() == "exit 3");
    CHECK(with.how() == without.how());
    CHECK(with.out == without.out);
  }
}

}  // namespace

TEST_SUITE("root") {
  TEST_CASE("limits") { check_rows(Identity::root, false); }
  TEST_CASE("a program that needs memory") { check_workload(Identity::root); }
}

TEST_SUITE("user") {
  TEST_CASE("limits") { check_rows(Identity::user, false); }
  TEST_CASE("a program that needs memory") { check_workload(Identity::user); }

  TEST_CASE("the soft limit is raised to the hard one, unless told not to") {
    struct {
      rlim_t soft;
      rlim_t hard;
      std::string_view raise;
      std::string_view limits;  // as main finds them
    } const rows[] = {
        {64 * kKiB, 4 * kMiB, "RAISE_LIMIT=", "4194304 4194304"},
        {64 * kKiB, 4 * kMiB, "RAISE_LIMIT=1", "4194304 4194304"},
        {64 * kKiB, 4 * kMiB, "RAISE_LIMIT=0", "65536 4194304"},
        {0, 4 * kMiB, "RAISE_LIMIT=0", "0 4194304"},
    };
    if (const auto missing = missing_for(Identity::user)) {
      skip(*missing);
      return;
    }
    for (const auto& row : rows) {
      Launch launch = shimmed("report");
      launch.identity = Identity::user;
      limit_locking(launch, row.soft, row.hard);
      add_variables(launch, {row.raise});
      CAPTURE(row.raise);
      CHECK(field(run(launch).out, "memlock") == row.limits);
    }
  }
}

TEST_SUITE("user-may-lock") {
  TEST_CASE("limits") { check_rows(Identity::user_may_lock, false); }
  TEST_CASE("a program that needs memory") { check_workload(Identity::user_may_lock); }
}

TEST_SUITE("root-of-namespace") {
  TEST_CASE("limits") { check_rows(Identity::root_of_namespace, false); }
  TEST_CASE("a program that needs memory") { check_workload(Identity::root_of_namespace); }
}

TEST_SUITE("large-limits") {
  TEST_CASE("limits") {
    for (const Identity identity :
         {Identity::root, Identity::user, Identity::user_may_lock, Identity::root_of_namespace}) {
      check_rows(identity, true);
    }
  }
}

TEST_SUITE("may-raise") {
  TEST_CASE("CAP_SYS_RESOURCE lifts every limit") {
    if (const auto missing = missing_for(Identity::root_with_all)) {
      skip(*missing);
      return;
    }
    for (const rlim_t limit : {rlim_t{0}, 64 * kKiB, 2 * kMiB, 8 * kMiB}) {
      Launch launch = shimmed("report", {}, {"REQUIRED=1"});
      launch.identity = Identity::root_with_all;
      limit_locking(launch, limit);
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(field(finished.out, "memlock") == "-1 -1");
      CHECK(finished.err ==
            line_of(finished, "report",
                    expected::locked(locked_at_main(finished), "current and future, on-fault")));
    }
  }
}

}  // namespace duende::mlock::test
