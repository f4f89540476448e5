// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole truth table of settings and limit: what is locked at the start, and in a child.
#include "preload/plan.hpp"

#include <string>
#include <vector>

#include "doctest.hpp"

namespace {

using namespace duende::mlock::preload;

constexpr MemlockLimit kInfinite;
constexpr MemlockLimit kExempt = {.soft = 4096, .hard = 4096, .exempt = true};
constexpr MemlockLimit kCapped = {.soft = 4096, .hard = 4096, .exempt = false};

/// `current+onfault future spare withheld`, of what holds.
std::string print(const LockPlan& plan) {
  std::string text;
  const auto word = [&](bool holds, const char* name) {
    text += holds ? (text.empty() ? "" : " ") + std::string(name) : "";
  };
  word(plan.current, plan.current_onfault ? "current+onfault" : "current");
  word(plan.future, plan.future_onfault ? "future+onfault" : "future");
  word(plan.spare_growth, "spare");
  word(plan.future_withheld, "withheld");
  return text;
}

enum class Told { no, by_future, by_required };

Settings make_settings(bool current, bool future, bool onfault, Told told) {
  Settings settings;
  settings.current = current;
  settings.future = future;
  settings.onfault = onfault;
  settings.required = told == Told::by_required;
  settings.future_explicit = told == Told::by_future;
  return settings;
}

/// One row for each setting of CURRENT, FUTURE and ONFAULT; a child's plan for each FORK.
struct Row {
  bool current;
  bool future;
  bool onfault;
  const char* start;
  const char* lazy;
  const char* full;
};

constexpr Row kFree[] = {
    {true, true, true, "current+onfault future+onfault", "current+onfault future+onfault",
     "current future+onfault"},
    {true, true, false, "current future", "current+onfault future", "current future"},
    {true, false, true, "current+onfault", "current+onfault", "current"},
    {true, false, false, "current", "current+onfault", "current"},
    {false, true, true, "future+onfault", "future+onfault", "future+onfault"},
    {false, true, false, "future", "future", "future"},
    {false, false, true, "", "", ""},
    {false, false, false, "", "", ""},
};

/// Under a limit, and nobody said otherwise: no future, and the stack may grow.
constexpr Row kTempered[] = {
    {true, true, true, "current+onfault spare withheld", "current+onfault spare withheld",
     "current spare withheld"},
    {true, true, false, "current spare withheld", "current+onfault spare withheld",
     "current spare withheld"},
    {true, false, true, "current+onfault spare", "current+onfault spare", "current spare"},
    {true, false, false, "current spare", "current+onfault spare", "current spare"},
    {false, true, true, "withheld", "withheld", "withheld"},
    {false, true, false, "withheld", "withheld", "withheld"},
    {false, false, true, "", "", ""},
    {false, false, false, "", "", ""},
};

void check(const Row& row, Told told, const MemlockLimit& limit) {
  CAPTURE(row.current);
  CAPTURE(row.future);
  CAPTURE(row.onfault);
  CAPTURE(static_cast<int>(told));
  Settings settings = make_settings(row.current, row.future, row.onfault, told);
  for (const ForkMode fork : {ForkMode::lazy, ForkMode::full, ForkMode::off}) {
    settings.fork = fork;
    CHECK(print(plan_for_start(settings, limit)) == row.start);
  }
  settings.fork = ForkMode::lazy;
  CHECK(print(plan_for_child(settings, limit, {})) == row.lazy);
  settings.fork = ForkMode::full;
  CHECK(print(plan_for_child(settings, limit, {})) == row.full);
}

TEST_CASE("without a limit that binds, the plan is what was asked for") {
  for (const Told told : {Told::no, Told::by_future, Told::by_required}) {
    for (const Row& row : kFree) {
      check(row, told, kInfinite);
    }
  }
}

// CAP_IPC_LOCK may go unseen.
TEST_CASE("under a finite limit, best effort spares the daemon's growth, whatever lifts it") {
  for (const MemlockLimit& limit : {kCapped, kExempt}) {
    for (const Row& row : kTempered) {
      check(row, Told::no, limit);
    }
  }
}

TEST_CASE("under a finite limit, what was asked for explicitly is done as told") {
  for (const MemlockLimit& limit : {kCapped, kExempt}) {
    for (const Row& row : kFree) {
      check(row, Told::by_required, limit);
      // FUTURE=0, said explicitly, asks for nothing that could make an allocation fail.
      check(row.future ? row : kTempered[&row - kFree], Told::by_future, limit);
    }
  }
}

TEST_CASE(
    "code is read in where it is not populated, and again in a child that may be left alone") {
  const auto start = [](const Settings& settings) {
    return plan_for_start(settings, kInfinite).code;
  };
  const auto child = [](const Settings& settings, bool outlives) {
    return plan_for_child(settings, kInfinite, {.outlives = outlives}).code;
  };
  Settings settings;
  CHECK(start(settings) == Code::resident);
  CHECK(child(settings, true) == Code::again);
  CHECK(child(settings, false) == Code::faults);
  settings.fork = ForkMode::full;
  CHECK(child(settings, true) == Code::faults);
  settings.onfault = false;
  CHECK(start(settings) == Code::resident);
  settings.fork = ForkMode::lazy;
  CHECK(child(settings, true) == Code::again);
  settings.current = false;
  settings.onfault = true;
  CHECK(start(settings) == Code::faults);
  CHECK(child(settings, true) == Code::faults);
}

TEST_CASE("files mapped as data are locked only if that was asked for") {
  Settings settings;
  CHECK_FALSE(plan_for_start(settings, kInfinite).data_files);
  settings.all_files = true;
  CHECK(plan_for_start(settings, kInfinite).data_files);
  CHECK(plan_for_child(settings, kCapped, {}).data_files);
}

TEST_CASE("a plan is empty when it locks nothing") {
  CHECK(LockPlan{}.empty());
  CHECK_FALSE(LockPlan{.current = true}.empty());
  CHECK_FALSE(LockPlan{.future = true}.empty());
  CHECK(LockPlan{.future_withheld = true}.empty());
}

TEST_CASE("neither RAISE_LIMIT nor LOG nor an explicit ONFAULT changes a plan") {
  for (const MemlockLimit& limit : {kInfinite, kExempt, kCapped}) {
    Settings other;
    other.raise_limit = false;
    other.log = LogLevel::off;
    other.onfault_explicit = true;
    CHECK(print(plan_for_start(other, limit)) == print(plan_for_start(Settings{}, limit)));
    CHECK(print(plan_for_child(other, limit, {})) == print(plan_for_child(Settings{}, limit, {})));
  }
}

}  // namespace
