// SPDX-License-Identifier: MIT OR Apache-2.0
// The place is told by its traces, whatever the control groups look like there.
#include <doctest/doctest.h>

#include "deployment.hpp"

namespace duende::mlock::test {

namespace {

struct Row {
  std::string_view name;
  Place place;
  std::string_view groups;  // the whole of /proc/PID/cgroup
};

constexpr Row kRows[] = {
    {"a shell, without control groups", Place::shell, ""},
    {"a shell, in a user's service manager", Place::shell,
     "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n"},
    {"systemd, hybrid", Place::systemd,
     "4:memory:/x\n1:name=systemd:/system.slice/storage.service\n"
     "0::/system.slice/storage.service\n"},
    {"Docker, inside a unit", Place::docker, "0::/system.slice/storage.service\n"},
    {"Podman, inside a unit", Place::podman, "0::/system.slice/storage.service\n"},
    {"Kubernetes, inside a unit", Place::kubernetes, "0::/system.slice/storage.service\n"},
};

}  // namespace

TEST_SUITE("control-groups") {
  TEST_CASE("the fix is that of the place") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Row& row : kRows) {
      Launch launch = placed(row.place, "report");
      launch.set_up = [&row] { enter(row.place, row.groups); };
      launch.identity = Identity::user;
      limit_locking(launch, 0);
      CAPTURE(row.name);
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(finished.err == line_of(finished, "report",
                                    expected::no_limit_at_all(expected::fix_of_limit(row.place))));
    }
  }
}

}  // namespace duende::mlock::test
