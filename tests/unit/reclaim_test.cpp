// SPDX-License-Identifier: MIT OR Apache-2.0
// IO_FLUSHER and REALTIME: set, read back, and never weaker than what was there.
#include "preload/reclaim.hpp"

#include <sched.h>
#include <cerrno>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

constexpr unsigned long long kBoth = 0x180000;

/// /proc/self/stat of a program of this name with these flags.
std::string stat_line(const std::string& name, unsigned long long flags) {
  return "42 (" + name + ") S 1 42 42 0 -1 " + std::to_string(flags) + " 100 0 0\n";
}

TEST_CASE("both flags of /proc/self/stat are an IO flusher's") {
  struct Row {
    unsigned long long flags;
    bool shown;
  };
  constexpr Row kRows[] = {{kBoth, true},     {kBoth | 0x400140, true}, {0x80000, false},
                           {0x100000, false}, {0x400140, false},        {0, false}};
  for (const char* const name : {"nbdkit", "a b", ") S 1 1 1 1 1 1", "(", "((("}) {
    for (const Row& row : kRows) {
      CAPTURE(name);
      CAPTURE(row.flags);
      FakeKernel kernel;
      kernel.files["/proc/self/stat"].contents = stat_line(name, row.flags);
      CHECK(shown_as_io_flusher(kernel, "/proc/self/stat") == row.shown);
    }
  }
}

TEST_CASE("a line that is not the kernel's shows nothing") {
  for (const char* const line : {"x", "1 (a)", "1 (a) S", "1 (a) S 1 1 1 1 1", "((((", "1 2 3"}) {
    CAPTURE(line);
    FakeKernel kernel;
    kernel.files["/proc/self/stat"].contents = line;
    CHECK_FALSE(shown_as_io_flusher(kernel, "/proc/self/stat"));
  }
}

TEST_CASE("without /proc the answer of prctl counts") {
  FakeKernel kernel;
  CHECK(shown_as_io_flusher(kernel, "/proc/self/stat"));
}

struct Row {
  const char* name;
  bool io_flusher;
  unsigned char realtime;
  Scheduling before;
  int error;                 // of whichever is called
  unsigned long long flags;  // shown afterwards
  Calls calls;
  bool as_asked;
  bool io_flusher_on;
  unsigned realtime_on;
};

const std::string kOn = "set_io_flusher(1)";
const std::string kRoundRobin = "set_scheduling(2, 5)";

const Row kRows[] = {
    {"nothing asked for", false, 0, {}, 0, 0, {}, true, false, 0},
    {"an IO flusher", true, 0, {}, 0, kBoth, {kOn}, true, true, 0},
    {"an IO flusher refused", true, 0, {}, EPERM, 0, {kOn}, false, false, 0},
    {"an IO flusher refused that was one already",
     true,
     0,
     {},
     EPERM,
     kBoth,
     {kOn},
     false,
     false,
     0},
    {"an IO flusher without an effect", true, 0, {}, 0, 0, {kOn}, false, false, 0},
    {"real time", false, 5, {}, 0, 0, {kRoundRobin}, true, false, 5},
    {"real time refused", false, 5, {}, EPERM, 0, {kRoundRobin}, false, false, 0},
    {"a weaker priority is raised", false, 5, {SCHED_RR, 4}, 0, 0, {kRoundRobin}, true, false, 5},
    {"the same priority stays", false, 5, {SCHED_RR, 5}, EPERM, 0, {}, true, false, 5},
    {"a stronger one stays", false, 5, {SCHED_FIFO, 50}, EPERM, 0, {}, true, false, 0},
    {"a deadline stays", false, 5, {6, 0}, EPERM, 0, {}, true, false, 0},
    {"batch and idle are weaker", false, 5, {SCHED_BATCH, 0}, 0, 0, {kRoundRobin}, true, false, 5},
};

TEST_CASE("what is asked for is set and read back") {
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    FakeKernel kernel;
    kernel.files["/proc/self/stat"].contents = stat_line("d", row.flags);
    kernel.scheduling = row.before;
    kernel.io_flusher_errors = {row.error};
    kernel.scheduling_errors = {row.error};
    Settings settings;
    settings.io_flusher = row.io_flusher;
    settings.realtime = row.realtime;
    const ReclaimState state = apply_reclaim_settings(kernel, settings);
    CHECK(kernel.calls == row.calls);
    CHECK(state.as_asked == row.as_asked);
    CHECK(state.io_flusher == row.io_flusher_on);
    CHECK(state.realtime == row.realtime_on);
  }
}

TEST_CASE("a scheduler that answers 0 and does nothing has refused") {
  FakeKernel kernel;
  kernel.ignores_scheduling = true;
  Settings settings;
  settings.realtime = 5;
  const auto state = apply_reclaim_settings(kernel, settings);
  CHECK_FALSE(state.as_asked);
  CHECK(state.realtime == 0);
}

TEST_CASE("a process that is left out takes back what it inherited, and only that") {
  Settings settings;
  settings.io_flusher = true;
  settings.realtime = 5;
  struct Inherited {
    Scheduling scheduling;
    Calls calls;
  };
  const Inherited rows[] = {
      {{SCHED_RR, 5}, {"set_io_flusher(0)", "set_scheduling(0, 0)"}},
      {{SCHED_RR, 6}, {"set_io_flusher(0)"}},
      {{SCHED_FIFO, 5}, {"set_io_flusher(0)"}},
      {{SCHED_OTHER, 0}, {"set_io_flusher(0)"}},
  };
  for (const Inherited& row : rows) {
    FakeKernel kernel;
    kernel.scheduling = row.scheduling;
    shed_reclaim_settings(kernel, settings);
    CHECK(kernel.calls == row.calls);
  }
  FakeKernel kernel;
  kernel.scheduling = {SCHED_RR, 5};
  shed_reclaim_settings(kernel, Settings{});
  CHECK(kernel.calls.empty());
}

}  // namespace
