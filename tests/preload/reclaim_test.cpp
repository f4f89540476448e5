// SPDX-License-Identifier: MIT OR Apache-2.0
// IO_FLUSHER, REALTIME and PROFILE: what holds for every thread and child, and why it does not.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <cerrno>

#include "check.hpp"
#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

constexpr Place kHere = Place::podman;
constexpr int kCapSysNice = 23;
constexpr int kSetIoFlusher = 57;
constexpr unsigned kSetIoFlusherAlone = 8;  // a bit of 57, and of no other prctl made here

const Names kLockNothing = {"CURRENT=0", "FUTURE=0"};

Launch scheduling(Identity identity, const Names& variables) {
  Launch launch = placed(kHere, "scheduling", {}, kLockNothing);
  add_variables(launch, variables);
  launch.identity = identity;
  return launch;
}

std::string line(const std::string& text) { return any_line("scheduling", text); }
std::string nothing_to_lock() { return line(expected::nothing_to_lock()); }

std::string flusher_line(bool required) {
  return line(expected::no_io_flusher(
      expected::lacks_capability(kHere, kCapSysResource, "SYS_RESOURCE"), required));
}

std::string realtime_line(bool required) {
  return line(
      expected::no_realtime(expected::lacks_capability(kHere, kCapSysNice, "SYS_NICE"), required));
}

/// What main, a thread and a forked child say.
std::string all_three(int policy, int priority, bool flusher = false) {
  std::string text;
  for (const char* const who : {"main", "thread", "child"}) {
    text += std::string(who) + " policy " + std::to_string(policy) + " priority " +
            std::to_string(priority) + " flusher " + (flusher ? "1" : "0") + '\n';
  }
  return text;
}

/// The main thread, and two that run before any library does.
Launch with_elders(const Names& variables) {
  Launch launch = placed(kHere, "elders", {}, kLockNothing);
  add_variables(launch, variables);
  launch.identity = has_capability(kCapSysResource) ? Identity::root_with_all : Identity::root;
  return launch;
}

std::string all_three_elders(int policy, int priority, bool flusher) {
  std::string text;
  for (int i = 0; i < 3; ++i) {
    text += "policy " + std::to_string(policy) + " priority " + std::to_string(priority) +
            " flusher " + (flusher ? "1" : "0") + '\n';
  }
  return text;
}

std::string elders_line(bool required) {
  return any_line("elders", std::string("IO_FLUSHER does not hold") +
                                (required ? ", and DUENDE_MLOCK_REQUIRED is on: " : ": ") +
                                "2 threads of another library came before; fix: start it as `sh -c "
                                "'exec PROGRAM'`, which hands it on");
}

struct Refused {
  Names variables;
  std::string best_effort;
  std::string required;
};

/// Best effort it runs as it was; REQUIRED aborts, with the line that says why.
void check_refused(Identity identity, const std::vector<Refused>& rows) {
  if (surroundings_are_missing() || is_missing(identity)) {
    return;
  }
  for (const Refused& row : rows) {
    CAPTURE(row.variables.front());
    const Finished best_effort = run(scheduling(identity, row.variables));
    CHECK(best_effort.how() == "exit 0");
    CHECK(best_effort.out == all_three(SCHED_OTHER, 0));
    check_error(best_effort, row.best_effort + nothing_to_lock());

    Launch launch = scheduling(identity, row.variables);
    add_variables(launch, {"REQUIRED=1"});
    const Finished required = run(launch);
    CHECK(required.how() == "signal 6");
    CHECK(required.out.empty());
    check_error(required, row.required + nothing_to_lock());
  }
}

void check_scheduling(const Launch& launch, const std::string& out, const std::string& error) {
  const Finished finished = run(launch);
  CHECK(finished.how() == "exit 0");
  CHECK(finished.out == out);
  check_error(finished, error);
}

bool realtime_is_missing() {
  return surroundings_are_missing() || is_missing(Identity::root) ||
         (!has_capability(kCapSysNice) && skip("CAP_SYS_NICE"));
}

/// As the daemon's starter may have it run already.
std::function<void()> run_at(int policy, int priority) {
  return [policy, priority] {
    const sched_param parameter = {.sched_priority = priority};
    check(::sched_setscheduler(0, policy, &parameter), "sched_setscheduler");
  };
}

}  // namespace

TEST_SUITE("refused") {
  TEST_CASE("an ordinary user") {
    check_refused(
        Identity::user,
        {{{"IO_FLUSHER=1"}, flusher_line(false), flusher_line(true)},
         {{"REALTIME=1"}, realtime_line(false), realtime_line(true)},
         {{"PROFILE=swap-device"},
          flusher_line(false) + realtime_line(false),
          flusher_line(true) + realtime_line(true)},
         {{"PROFILE=swap-device", "IO_FLUSHER=0"}, realtime_line(false), realtime_line(true)},
         {{"REALTIME=0", "PROFILE=swap-device"}, flusher_line(false), flusher_line(true)}});
  }

  TEST_CASE("root without CAP_SYS_RESOURCE") {
    check_refused(Identity::root, {{{"IO_FLUSHER=1"}, flusher_line(false), flusher_line(true)}});
  }

  TEST_CASE("the profile takes nothing back that was set to 0") {
    if (surroundings_are_missing() || is_missing(Identity::user)) {
      return;
    }
    for (const Names& variables :
         {Names{"PROFILE=swap-device", "IO_FLUSHER=0", "REALTIME=0"}, Names{"PROFILE=lock"}}) {
      check_scheduling(scheduling(Identity::user, variables), all_three(SCHED_OTHER, 0),
                       nothing_to_lock());
    }
  }

  TEST_CASE("a kernel or a sandbox that does not have it") {
    if (surroundings_are_missing() || is_missing(Identity::root)) {
      return;
    }
    struct {
      int answer;
      std::string why;
    } const rows[] = {
        {EINVAL, expected::old_kernel("EINVAL", "5.6")},
        {ENOSYS, expected::filtered("ENOSYS", kHere, "prctl")},
        {EPERM, expected::filtered("EPERM", kHere, "prctl")},
        {0, expected::without_effect()},
    };
    for (const auto& row : rows) {
      Launch launch = scheduling(Identity::root, {"IO_FLUSHER=1"});
      launch.refusal = Refusal{SYS_prctl, row.answer, kSetIoFlusherAlone};
      CAPTURE(row.answer);
      check_scheduling(launch, all_three(SCHED_OTHER, 0),
                       line(expected::no_io_flusher(row.why, false)) + nothing_to_lock());
    }
  }

  TEST_CASE("a sandbox that ignores the real-time policy") {
    if (surroundings_are_missing() || is_missing(Identity::root)) {
      return;
    }
    Launch launch = scheduling(Identity::root, {"REALTIME=3"});
    launch.refusal = {SYS_sched_setscheduler, 0};
    check_scheduling(
        launch, all_three(SCHED_OTHER, 0),
        line(expected::no_realtime(expected::without_effect(), false)) + nothing_to_lock());
  }
}

TEST_SUITE("realtime") {
  TEST_CASE("for the process, its threads and its children") {
    if (realtime_is_missing()) {
      return;
    }
    check_scheduling(scheduling(Identity::root, {"REALTIME=7"}), all_three(SCHED_RR, 7),
                     nothing_to_lock());
    check_scheduling(scheduling(Identity::root, {"PROFILE=swap-device", "IO_FLUSHER=0"}),
                     all_three(SCHED_RR, 1), nothing_to_lock());
    check_scheduling(
        scheduling(Identity::root, {"PROFILE=swap-device", "IO_FLUSHER=0", "REALTIME=2"}),
        all_three(SCHED_RR, 2), nothing_to_lock());
  }

  TEST_CASE("for threads that were there before the library") {
    if (realtime_is_missing()) {
      return;
    }
    for (const std::string_view required : {"REQUIRED=0", "REQUIRED=1"}) {
      const Finished finished = run(with_elders({"REALTIME=7", required}));
      CHECK(finished.how() == "exit 0");
      CHECK(finished.out == all_three_elders(SCHED_RR, 7, false));
    }
  }

  TEST_CASE("the line says so") {
    if (realtime_is_missing()) {
      return;
    }
    Launch launch = placed(kHere, "scheduling", {}, {"REALTIME=7", "FUTURE=1"});
    launch.identity = Identity::root;
    limit_locking(launch, kDefaultLimit);
    std::string start = expected::exempt_until_dropped(kDefaultLimit);
    start.insert(start.find(';'), ", SCHED_RR 7");
    check_scheduling(launch, all_three(SCHED_RR, 7),
                     line(start + "; fix: " + expected::fix_of_limit(kHere)));
  }

  TEST_CASE("what is stronger already stays, what is weaker is raised") {
    if (realtime_is_missing()) {
      return;
    }
    struct {
      int policy, priority;  // before
      int policy_after, priority_after;
    } const rows[] = {
        {SCHED_FIFO, 50, SCHED_FIFO, 50}, {SCHED_FIFO, 7, SCHED_FIFO, 7},
        {SCHED_RR, 50, SCHED_RR, 50},     {SCHED_RR, 3, SCHED_RR, 7},
        {SCHED_FIFO, 3, SCHED_RR, 7},     {SCHED_BATCH, 0, SCHED_RR, 7},
    };
    for (const auto& row : rows) {
      Launch launch = scheduling(Identity::root, {"REALTIME=7"});
      launch.prepare = run_at(row.policy, row.priority);
      CAPTURE(row.policy);
      CAPTURE(row.priority);
      check_scheduling(launch, all_three(row.policy_after, row.priority_after), nothing_to_lock());
    }
  }

  TEST_CASE("left out by ONLY: what this library gave is taken back, and nothing else") {
    if (realtime_is_missing()) {
      return;
    }
    struct {
      int policy, priority;  // before
      bool taken;
    } const rows[] = {
        {SCHED_RR, 7, true},     {SCHED_RR, 8, false},    {SCHED_FIFO, 7, false},
        {SCHED_FIFO, 50, false}, {SCHED_BATCH, 0, false},
    };
    for (const auto& row : rows) {
      Launch launch = scheduling(Identity::root, {"REALTIME=7", "ONLY=another"});
      launch.prepare = run_at(row.policy, row.priority);
      CAPTURE(row.policy);
      CAPTURE(row.priority);
      check_scheduling(
          launch, row.taken ? all_three(SCHED_OTHER, 0) : all_three(row.policy, row.priority), "");
    }
  }
}

TEST_SUITE("may-set") {
  TEST_CASE("with CAP_SYS_RESOURCE: for threads and children, and taken back by ONLY") {
    if (surroundings_are_missing() || is_missing(Identity::root_with_all)) {
      return;
    }
    check_scheduling(scheduling(Identity::root_with_all, {"IO_FLUSHER=1"}),
                     all_three(SCHED_OTHER, 0, true), nothing_to_lock());
    check_scheduling(scheduling(Identity::root_with_all, {"PROFILE=swap-device"}),
                     all_three(SCHED_RR, 1, true), nothing_to_lock());
    const Finished told = run(with_elders({"IO_FLUSHER=1"}));
    CHECK(told.how() == "exit 0");
    check_error(told, elders_line(false) + any_line("elders", expected::nothing_to_lock()));
    Launch required = with_elders({"IO_FLUSHER=1", "REQUIRED=1"});
    CHECK(run(required).how() == "signal 6");
    // As the line says.
    required.arguments = {"/bin/sh", "-c", "exec " + required.arguments[0]};
    const Finished handed_on = run(required);
    CHECK(handed_on.how() == "exit 0");
    CHECK(handed_on.out == all_three_elders(SCHED_OTHER, 0, true));
    Launch launch = scheduling(Identity::root_with_all, {"IO_FLUSHER=1", "ONLY=another"});
    launch.prepare = [] { check(::prctl(kSetIoFlusher, 1, 0, 0, 0), "PR_SET_IO_FLUSHER"); };
    check_scheduling(launch, all_three(SCHED_OTHER, 0), "");
  }
}

}  // namespace duende::mlock::test
