// SPDX-License-Identifier: MIT OR Apache-2.0
// REQUIRED=1 never lets main run unlocked, and leaves by SIGABRT, with a reason and no core file.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "precondition.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

namespace fs = std::filesystem;

struct Row {
  std::string_view name;
  Names variables;
  rlim_t limit;                    // of an ordinary user
  std::optional<Refusal> refusal;  // of a system call
  std::string_view reason;         // somewhere in the line
};

const Row kRows[] = {
    {"limit 0", {}, 0, {}, "failed with EPERM: RLIMIT_MEMLOCK (0 KiB) allows no lock"},
    {"limit too small", {}, 64 * kKiB, {}, "failed with ENOMEM: the address space"},
    {"future alone at limit 0", {"CURRENT=0"}, 0, {}, "mlockall(MCL_FUTURE|MCL_ONFAULT) failed"},
    {"current alone at limit 0", {"FUTURE=0"}, 0, {}, "mlockall(MCL_CURRENT|MCL_ONFAULT) failed"},
    {"populated at limit 0", {"ONFAULT=0"}, 0, {}, "mlockall(MCL_CURRENT|MCL_FUTURE) failed"},
    {"refused by a filter", {}, kDefaultLimit, Refusal{SYS_mlockall, EPERM}, "a seccomp filter"},
    {"ENOMEM at any limit", {}, kDefaultLimit, Refusal{SYS_mlockall, ENOMEM}, "ENOMEM"},
    {"EINVAL at any flag", {}, kDefaultLimit, Refusal{SYS_mlockall, EINVAL}, "EINVAL"},
    {"no such system call", {}, kDefaultLimit, Refusal{SYS_mlockall, ENOSYS}, "ENOSYS"},
    {"answered 0, and nothing done", {}, kDefaultLimit, Refusal{SYS_mlockall, 0}, "VmLck is 0"},
    {"a bad value", {"FUTURE=maybe"}, kDefaultLimit, {}, "FUTURE=\"maybe\" is not accepted"},
    {"an unknown name", {"FUTUR=1"}, kDefaultLimit, {}, "unknown variable"},
    {"not even a warning wanted", {"LOG=off"}, 0, {}, ""},
};

Launch required(const Row& row) {
  Launch launch = shimmed("report", {}, {"REQUIRED=1"});
  add_variables(launch, row.variables);
  launch.identity = Identity::user;
  launch.refusal = row.refusal;
  limit_locking(launch, row.limit);
  return launch;
}

bool core_files_are_possible() {
  rlimit limit;
  std::string pattern;
  std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
  return ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == RLIM_INFINITY &&
         !pattern.empty() && pattern.find('/') == std::string::npos && pattern[0] != '|';
}

void check_aborted(const Row& row, const Finished& finished, std::string_view how) {
  CAPTURE(row.name);
  CHECK(finished.how() == how);
  CHECK(!finished.dumped_core());
  CHECK(finished.out.empty());
  CHECK(finished.err.find(row.reason) != std::string::npos);
  CHECK(finished.err.empty() == row.reason.empty());
}

}  // namespace

TEST_SUITE("user") {
  TEST_CASE("main is not reached, and there is no core file") {
    if (const auto missing = missing_for(Identity::user)) {
      skip(*missing);
      return;
    }
    for (const Row& row : kRows) {
      Launch launch = required(row);
      launch.folder = Stage::get().empty_folder("cwd");
      rlimit core;
      REQUIRE(::getrlimit(RLIMIT_CORE, &core) == 0);
      launch.limits.push_back({RLIMIT_CORE, {core.rlim_max, core.rlim_max}});
      const Finished finished = run(launch);
      check_aborted(row, finished, "signal 6");
      CHECK(fs::is_empty(launch.folder));
    }
  }

  TEST_CASE("a program that is all right reaches main") {
    if (const auto missing = missing_for(Identity::user)) {
      skip(*missing);
      return;
    }
    Launch launch = shimmed("report", {}, {"REQUIRED=1"});
    launch.identity = Identity::user;
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(locked_at_main(finished) > 0);
  }

  TEST_CASE("SIGABRT is delivered though it was ignored and blocked") {
    Launch launch = shimmed("report", {}, {"REQUIRED=maybe"});
    launch.prepare = [] {
      sigset_t set;
      ::sigfillset(&set);
      ::sigprocmask(SIG_BLOCK, &set, nullptr);
      ::signal(SIGABRT, SIG_IGN);
    };
    const Finished finished = run(launch);
    CHECK(finished.how() == "signal 6");
    CHECK(finished.out.empty());
  }

  TEST_CASE("best effort starts the program in every one of these cases") {
    if (const auto missing = missing_for(Identity::user)) {
      skip(*missing);
      return;
    }
    for (const Row& row : kRows) {
      Launch launch = required(row);
      launch.environment.insert(launch.environment.begin(), "DUENDE_MLOCK_REQUIRED=0");
      CAPTURE(row.name);
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
    }
  }
}

TEST_SUITE("causes") {
  TEST_CASE("what refuses mlockall to one who may lock: the whole line") {
    struct {
      int answer;
      std::string text;
    } const rows[] = {
        {EPERM, expected::refused("EPERM")},   {ENOMEM, expected::refused("ENOMEM")},
        {EAGAIN, expected::refused("EAGAIN")}, {EINVAL, expected::refused("EINVAL")},
        {ENOSYS, expected::refused("ENOSYS")}, {0, expected::not_honoured()},
    };
    if (const auto missing = missing_for(Identity::root)) {
      skip(*missing);
      return;
    }
    for (const auto& row : rows) {
      Launch launch = shimmed("report");
      launch.identity = Identity::root;
      launch.refusal = Refusal{SYS_mlockall, row.answer};
      limit_locking(launch, kDefaultLimit);
      add_variables(launch, {"FUTURE=1"});
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(finished.err == line_of(finished, "report", row.text));
    }
  }

  TEST_CASE("a kernel without MCL_ONFAULT: locked without it, even when required") {
    constexpr unsigned kMclOnfault = 4;
    if (const auto missing = missing_for(Identity::root)) {
      skip(*missing);
      return;
    }
    for (const std::string_view required : {"REQUIRED=0", "REQUIRED=1"}) {
      Launch launch = shimmed("report", {}, {required, "FUTURE=1"});
      launch.identity = Identity::root;
      launch.refusal = Refusal{SYS_mlockall, EINVAL, kMclOnfault};
      limit_locking(launch, kDefaultLimit);
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(locked_after_mapping(finished) == locked_at_main(finished) + 64 * kKiB);
      CHECK(finished.err ==
            line_of(finished, "report",
                    expected::without_onfault(locked_at_main(finished), kDefaultLimit)));
    }
  }
}

TEST_SUITE("core") {
  TEST_CASE("a program that aborts by itself does leave one here") {
    if (!core_files_are_possible()) {
      skip("core files are limited, or do not go to the working folder");
      return;
    }
    Launch launch;
    launch.arguments = {"/bin/sh", "-c", "kill -ABRT $$"};
    launch.folder = Stage::get().empty_folder("core");
    launch.limits.push_back({RLIMIT_CORE, {RLIM_INFINITY, RLIM_INFINITY}});
    const Finished finished = run(launch);
    CHECK(finished.how() == "signal 6");
    CHECK(finished.dumped_core());
    CHECK(!fs::is_empty(launch.folder));
  }
}

TEST_SUITE("first-process") {
  TEST_CASE("as PID 1, where SIGABRT is dropped: exit status 134") {
    if (!has_capability(kCapSysAdmin)) {
      skip("a PID namespace needs CAP_SYS_ADMIN");
      return;
    }
    for (const Row& row : kRows) {
      Launch launch = required(row);
      launch.first_of_pid_namespace = true;
      check_aborted(row, run(launch), "exit 134");
    }
    Launch launch = shimmed("report", {}, {"REQUIRED=1"});
    launch.first_of_pid_namespace = true;
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(finished.err.find("duende-mlock[1] report: locked") == 0);
  }
}

}  // namespace duende::mlock::test
