// SPDX-License-Identifier: MIT OR Apache-2.0
// (filter, moment): whatever a seccomp filter does to a call, the program runs as without the
// library, and the line names the filter.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "deployment.hpp"
#include "precondition.hpp"
#include "stage.hpp"

namespace duende::mlock::test {

namespace {

constexpr Place kHere = Place::shell;
constexpr long kLastCall = 470;

/// The calls that find out what kills; where a filter kills for one of them, nothing else can.
constexpr long kOfTheTrial[] = {SYS_clone, SYS_wait4};

using Calls = std::vector<long>;

Launch filtered(Launch launch, const Calls& calls, int answer) {
  launch.prepare = [calls, answer] { filter_calls(calls, answer); };
  return launch;
}

/// What each moment is shown by: before main, in a child of fork, at a drop.
struct Moment {
  std::string_view name;
  Identity identity;
  std::string program;
  std::vector<std::string> arguments;
  Names variables;
};

const Moment kMoments[] = {
    {"before main", Identity::user, "report", {}, {}},
    {"before main, everything asked for", Identity::root, "report", {}, {"PROFILE=swap-device"}},
    {"after fork", Identity::user, "forker", {"tree", "1"}, {}},
    {"after fork of one who may lock", Identity::root, "forker", {"thread", "1"}, {"FUTURE=1"}},
    {"at a drop", Identity::root, "dropper", {"setuid", "work"}, {"FUTURE=1"}},
};

bool is_missing(const Moment& moment) {
  return test::is_missing(moment.identity) || test::is_missing(Identity::root);
}

Launch launch_of(const Moment& moment, bool bare) {
  Launch launch = bare ? plain(moment.program, moment.arguments)
                       : shimmed(moment.program, moment.arguments, moment.variables);
  launch.identity = moment.identity;
  limit_locking(launch, kDefaultLimit);
  return launch;
}

/// glibc's threads end with a madvise(2) of their stacks, or are ended with the program before.
bool has_threads(const Moment& moment) {
  const std::vector<std::string>& arguments = moment.arguments;
  return std::find(arguments.begin(), arguments.end(), "work") != arguments.end() ||
         std::find(arguments.begin(), arguments.end(), "thread") != arguments.end();
}

/// Once with the library what it is without.
void check_runs(const Moment& moment, Calls calls, int answer) {
  if (has_threads(moment)) {
    std::erase(calls, SYS_madvise);
  }
  if (calls.empty()) {
    return;
  }
  const std::string without = run(filtered(launch_of(moment, true), calls, answer)).how();
  CAPTURE(moment.name);
  CAPTURE(calls.front());
  CAPTURE(answer);
  CHECK(run(filtered(launch_of(moment, false), calls, answer)).how() == without);
}

}  // namespace

TEST_SUITE("every-call") {
  TEST_CASE("killed for, before main") {
    if (is_missing(kMoments[0])) {
      return;
    }
    for (long call = 0; call <= kLastCall; ++call) {
      if (std::find(std::begin(kOfTheTrial), std::end(kOfTheTrial), call) ==
          std::end(kOfTheTrial)) {
        check_runs(kMoments[0], {call}, kKills);
      }
    }
  }
}

TEST_SUITE("every-moment") {
  // But for futex(2), without which the C library ends programs that have threads, now and then.
  TEST_CASE("those the library makes: killed for, at every moment") {
    const Calls calls = {
        SYS_prlimit64,
        SYS_prctl,
        SYS_rt_sigprocmask,
        SYS_mlockall,
        SYS_munlockall,
        SYS_mlock2,
        SYS_munlock,
        SYS_madvise,
        SYS_mincore,
        SYS_getpid,
        SYS_getppid,
        SYS_capget,
        SYS_readlinkat,
        SYS_faccessat,
        SYS_fstat,
        SYS_fcntl,
        SYS_ppoll,
        SYS_pwritev2,
        SYS_sched_setscheduler,
        SYS_getdents64,
        SYS_sched_getparam,
        SYS_rt_sigpending,
        SYS_kill,
    };
    for (const Moment& moment : kMoments) {
      if (is_missing(moment)) {
        continue;
      }
      for (const long call : calls) {
        check_runs(moment, {call}, kKills);
      }
    }
  }

  TEST_CASE("groups of them, whatever the filter does") {
    const Calls memlock = {SYS_mlock, SYS_mlock2, SYS_mlockall, SYS_munlock, SYS_munlockall};
    Calls all = memlock;
    all.insert(all.end(),
               {SYS_prctl, SYS_madvise, SYS_sched_setscheduler, SYS_getdents64, SYS_ppoll,
                SYS_readlinkat, SYS_faccessat, SYS_capget, SYS_rt_sigpending});
    for (const Moment& moment : kMoments) {
      for (const Calls& calls : {memlock, all}) {
        if (!is_missing(moment)) {
          for (const int answer : {kKills, kKillsThread, kTraps, EPERM, ENOSYS}) {
            check_runs(moment, calls, answer);
          }
        }
      }
    }
  }
}

namespace {

/// The functions by which a program puts a filter on itself are followed where the library stands
/// in front of them, as it then does of unshare(2).
bool later_is_missing() {
  using namespace std::string_literals;
  std::stringstream library;
  library << std::ifstream(Stage::get().library(), std::ios::binary).rdbuf();
  return library.str().find("\0unshare\0"s) == std::string::npos &&
         skip("a library in front of prctl and syscall");
}

}  // namespace

TEST_SUITE("later") {
  TEST_CASE("a filter that the daemon puts on itself") {
    if (later_is_missing() || test::is_missing(Identity::root)) {
      return;
    }
    for (const std::string way : {"prctl", "syscall"}) {
      for (const std::string moment : {"fork", "drop", "both"}) {
        for (const Names& variables : {Names{}, Names{"FUTURE=1"}, Names{"LOG=debug"}}) {
          Launch bare = plain("confine", {way, moment});
          Launch launch = shimmed("confine", {way, moment}, variables);
          for (Launch* const each : {&bare, &launch}) {
            each->identity = Identity::root;
            limit_locking(*each, kDefaultLimit);
          }
          CAPTURE(way);
          CAPTURE(moment);
          const Finished without = run(bare);
          const Finished with = run(launch);
          CHECK(without.how() == "exit 0");
          CHECK(with.how() == without.how());
          CHECK(with.out == without.out);
        }
      }
    }
  }
}

namespace {

struct Row {
  std::string_view filter;
  Calls calls;
  int answer;
  Identity identity;
  Names variables;
  std::string says;
};

const Names kNothingBut = {"CURRENT=0", "FUTURE=0"};

std::string locked_as_user() {
  return "locked (# MB): current, on-fault; not future: allocations beyond RLIMIT_MEMLOCK (8192 "
         "KiB) "
         "would fail, and CAP_IPC_LOCK is in the bounding set but not effective; fix: " +
         expected::fix_of_limit(kHere);
}

std::string kills(const std::string& call) {
  return "a seccomp filter kills for " + call + "; fix: allow " + call + " in the filter";
}

std::vector<Row> rows() {
  const std::string nothing = "\n" + any_line("true", expected::nothing_to_lock());
  return {
      {"mlockall kills",
       {SYS_mlockall},
       kKills,
       Identity::user,
       {},
       "not locked: " + kills("mlockall")},
      {"mlockall kills root",
       {SYS_mlockall},
       kKillsThread,
       Identity::root,
       {},
       "not locked: " + kills("mlockall")},
      {"@memlock traps",
       {SYS_mlockall, SYS_munlockall, SYS_mlock2, SYS_munlock},
       kTraps,
       Identity::user,
       {},
       "not locked: " + kills("mlockall")},
      {"munlockall kills, and the limit binds",
       {SYS_munlockall},
       kKills,
       Identity::user,
       {},
       "not locked: " + kills("munlockall")},
      {"munlock kills, and the stack has to grow",
       {SYS_munlock},
       kKills,
       Identity::user,
       {},
       "not locked: " + kills("munlock")},
      {"mlock2 kills", {SYS_mlock2}, kKills, Identity::user, {}, locked_as_user()},
      {"mlock2 is refused",
       {SYS_mlock2},
       EPERM,
       Identity::root,
       {"FUTURE=1"},
       expected::exempt_until_dropped(kDefaultLimit) + "; fix: " + expected::fix_of_held(kHere)},
      {"mincore kills, and the stack has to grow",
       {SYS_mincore},
       kKills,
       Identity::user,
       {},
       "not locked: " + kills("mincore")},
      {"madvise kills", {SYS_madvise}, kKills, Identity::user, {}, locked_as_user()},
      {"prlimit64 is refused",
       {SYS_prlimit64},
       EPERM,
       Identity::root,
       {"FUTURE=0"},
       "locked (# MB): current, on-fault"},
      {"prctl kills",
       {SYS_prctl},
       kKills,
       Identity::root,
       {"CURRENT=0", "FUTURE=0", "IO_FLUSHER=1"},
       "IO_FLUSHER does not hold: " + kills("prctl") + nothing},
      {"sched_setscheduler kills",
       {SYS_sched_setscheduler},
       kKills,
       Identity::root,
       {"CURRENT=0", "FUTURE=0", "REALTIME=1"},
       "REALTIME does not hold: " + kills("sched_setscheduler") + nothing},
      {"sched_setscheduler is refused",
       {SYS_sched_setscheduler},
       EPERM,
       Identity::root,
       {"CURRENT=0", "FUTURE=0", "REALTIME=1"},
       expected::no_realtime(expected::filtered("EPERM", kHere, "sched_setscheduler"), false) +
           nothing},
  };
}

Launch launch_of(const Row& row) {
  Launch launch = placed(kHere, "true", {}, row.variables);
  launch.arguments = {"/bin/true"};
  launch.identity = row.identity;
  limit_locking(launch, kDefaultLimit);
  launch.set_up = [] { enter(kHere); };
  return filtered(launch, row.calls, row.answer);
}

std::string lines(const Row& row) {
  const std::string text = any_line("true", row.says);
  // A second line is whole already.
  const std::size_t second = text.find("\nduende");
  return second == text.npos ? text : text.substr(0, text.size() - 1);
}

}  // namespace

TEST_SUITE("lines") {
  TEST_CASE("each names the filter") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Row& row : rows()) {
      if (test::is_missing(row.identity) || test::is_missing(Identity::root)) {
        continue;
      }
      CAPTURE(row.filter);
      const Finished finished = run(launch_of(row));
      CHECK(finished.how() == "exit 0");
      check_error(finished, lines(row));
    }
  }

  TEST_CASE("REQUIRED: it aborts, after the line") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Row& row : rows()) {
      const bool fails = row.says.find("kills for") != std::string::npos;
      if (!fails || test::is_missing(row.identity) || test::is_missing(Identity::root)) {
        continue;
      }
      CAPTURE(row.filter);
      Launch launch = launch_of(row);
      add_variables(launch, {"REQUIRED=1"});
      const Finished finished = run(launch);
      // Told so, nothing of the stack is left out.
      const bool told = row.calls.front() != SYS_munlock && row.calls.front() != SYS_mincore;
      CHECK(finished.how() == (told ? "signal 6" : "exit 0"));
      CHECK((finished.err.find(kills("")) == std::string::npos) == true);
      CHECK((finished.err.find("DUENDE_MLOCK_REQUIRED is on: a seccomp filter kills for") !=
             std::string::npos) == told);
      CHECK_FALSE(finished.dumped_core());
    }
  }
}

}  // namespace duende::mlock::test
