// SPDX-License-Identifier: MIT OR Apache-2.0
// lock_with_config and its siblings against scripted kernels.
#include <duende/mlock/lock.hpp>

#include <cerrno>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock;
using test::FakeKernel;
using Calls = std::vector<std::string>;

MlockConfig required(bool value) { return MlockConfig::builder().required(value).build(); }

TEST_CASE("every errno is an error when required, and a status when not") {
  for (const int error : {EPERM, ENOMEM, EINVAL, EAGAIN, ENOSYS, EIO}) {
    for (const bool is_required : {true, false}) {
      CAPTURE(error);
      CAPTURE(is_required);
      FakeKernel kernel;
      kernel.mlockall_errors = {error};
      const auto result = detail::lock_with_config(kernel, required(is_required));
      if (is_required) {
        REQUIRE_FALSE(result);
        CHECK(result.error() == MlockError::from_errno(error));
      } else {
        REQUIRE(result);
        CHECK(*result == MlockStatus::Failed(error));
      }
      CHECK(kernel.calls == Calls{"mlockall(CURRENT|FUTURE)"});
    }
  }
}

TEST_CASE("success says how much VmLck is") {
  FakeKernel kernel;
  kernel.set_memory_use(9000, 4);
  CHECK(detail::lock_with_config(kernel, MlockConfig{}) == MlockStatus::Locked(4096));
  CHECK(detail::locked_bytes(kernel) == 4096);
}

TEST_CASE("without /proc a lock is a lock of unknown size") {
  FakeKernel kernel;
  CHECK(detail::lock_with_config(kernel, MlockConfig{}) == MlockStatus::Locked(0));
  CHECK(detail::locked_bytes(kernel) == 0);
}

TEST_CASE("the flags are what the config says") {
  struct Row {
    MlockConfig config;
    Calls calls;
  };
  const auto build = [](bool current, bool future, bool onfault) {
    return MlockConfig::builder().current(current).future(future).onfault(onfault).build();
  };
  const Row rows[] = {
      {build(true, true, false), {"mlockall(CURRENT|FUTURE)"}},
      {build(true, false, false), {"mlockall(CURRENT)"}},
      {build(false, true, false), {"mlockall(FUTURE)"}},
      {build(true, true, true), {"mlockall(CURRENT|FUTURE|ONFAULT)"}},
      {build(true, false, true), {"mlockall(CURRENT|ONFAULT)"}},
      {build(false, true, true), {"mlockall(FUTURE|ONFAULT)"}},
      {build(false, false, true), {"mlockall(ONFAULT)"}},  // the kernel's EINVAL, not ours
      {build(false, false, false), {}},
  };
  for (const Row& row : rows) {
    FakeKernel kernel;
    CHECK(detail::lock_with_config(kernel, row.config).has_value());
    CHECK(kernel.calls == row.calls);
  }
}

TEST_CASE("no flags at all is locked with 0 bytes, whatever was locked before") {
  FakeKernel kernel;
  kernel.set_memory_use(9000, 4);
  const auto nothing = MlockConfig::builder().current(false).future(false).build();
  CHECK(detail::lock_with_config(kernel, nothing) == MlockStatus::Locked(0));
}

TEST_CASE("unlocking") {
  FakeKernel kernel;
  CHECK(detail::unlock_all(kernel).has_value());
  kernel.munlockall_error = EPERM;
  const auto refused = detail::unlock_all(kernel);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == MlockError::PermissionDenied);
  CHECK(kernel.calls == Calls{"munlockall()", "munlockall()"});
}

TEST_CASE("the real functions leave errno alone") {
  errno = EXFULL;
  (void)lock_with_config(required(false));
  (void)unlock_all();
  (void)is_locked();
  CHECK(errno == EXFULL);
  CHECK_FALSE(is_locked());
}

}  // namespace
