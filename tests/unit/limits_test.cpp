// SPDX-License-Identifier: MIT OR Apache-2.0
// RLIMIT_MEMLOCK: how it is raised, and when it binds.
#include "preload/limits.hpp"

#include <cerrno>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

TEST_CASE("infinity is tried first, and is enough") {
  FakeKernel kernel;
  raise_memlock_limit(kernel);
  CHECK(kernel.calls == Calls{"setrlimit(infinity, infinity)"});
}

TEST_CASE("refused, the soft limit goes up to the hard one") {
  FakeKernel kernel;
  kernel.memlock = {.rlim_cur = 100, .rlim_max = 200};
  kernel.set_limit_errors = {EPERM};
  raise_memlock_limit(kernel);
  CHECK(kernel.calls ==
        Calls{"setrlimit(infinity, infinity)", "getrlimit()", "setrlimit(200, 200)"});
  CHECK(kernel.memlock.rlim_cur == 200);
}

TEST_CASE("a soft limit that is the hard one stays") {
  FakeKernel kernel;
  kernel.memlock = {.rlim_cur = 200, .rlim_max = 200};
  kernel.set_limit_errors = {EPERM};
  raise_memlock_limit(kernel);
  CHECK(kernel.calls == Calls{"setrlimit(infinity, infinity)", "getrlimit()"});
}

TEST_CASE("a limit that cannot be read is not set to what was not read") {
  FakeKernel kernel;
  kernel.set_limit_errors = {EPERM};
  kernel.get_limit_error = EPERM;
  raise_memlock_limit(kernel);
  CHECK(kernel.calls == Calls{"setrlimit(infinity, infinity)", "getrlimit()"});
}

TEST_CASE("an infinite limit binds nobody, and nobody is asked about exemption") {
  FakeKernel kernel;
  kernel.memlock = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  kernel.exempt = Answer::yes;
  const MemlockLimit limit = read_memlock_limit(kernel);
  CHECK(limit.infinite());
  CHECK_FALSE(limit.exempt);
  CHECK_FALSE(limit.capped());
  CHECK(kernel.calls == Calls{"getrlimit()"});
}

TEST_CASE("a finite limit binds whoever is not known to lock beyond it") {
  for (const Answer exempt : {Answer::yes, Answer::no, Answer::unknown}) {
    FakeKernel kernel;
    kernel.memlock = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    kernel.exempt = exempt;
    const MemlockLimit limit = read_memlock_limit(kernel);
    CHECK(limit.soft == 4096);
    CHECK(limit.hard == RLIM_INFINITY);
    CHECK(limit.exempt == (exempt == Answer::yes));
    CHECK(limit.capped() == (exempt != Answer::yes));
    CHECK(kernel.calls == Calls{"getrlimit()", "may_lock_beyond(4096)"});
  }
}

TEST_CASE("a limit that cannot be read counts as 0") {
  FakeKernel kernel;
  kernel.get_limit_error = EPERM;
  const MemlockLimit limit = read_memlock_limit(kernel);
  CHECK(limit.soft == 0);
  CHECK(limit.hard == 0);
  CHECK(limit.capped());
  CHECK(kernel.calls == Calls{"getrlimit()", "may_lock_beyond(0)"});
}

}  // namespace
