// SPDX-License-Identifier: MIT OR Apache-2.0
// The header API's values: what they say, in the Rust crate's words, and what they compare to.
#include <duende/mlock.hpp>

#include <cerrno>
#include <sstream>
#include <string>
#include <type_traits>

#include "doctest.hpp"

namespace {

using duende::mlock::MlockConfig;
using duende::mlock::MlockError;
using duende::mlock::MlockStatus;
using duende::mlock::Result;
using duende::mlock::Unexpected;

template <class T>
std::string printed(const T& value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

static_assert(std::is_trivially_copyable_v<MlockConfig>);
static_assert(std::is_trivially_copyable_v<MlockStatus>);
static_assert(std::is_trivially_copyable_v<MlockError>);
static_assert(std::is_trivially_copyable_v<Result<MlockStatus>>);
static_assert(std::is_trivially_copyable_v<Result<void>>);
static_assert(noexcept(duende::mlock::lock_all()));
static_assert(noexcept(duende::mlock::lock_with_config(MlockConfig{})));
static_assert(noexcept(duende::mlock::unlock_all()));
static_assert(noexcept(duende::mlock::locked_bytes()) && noexcept(duende::mlock::is_locked()));

// MlockConfig

static_assert(MlockConfig{} == MlockConfig::builder().build());
static_assert(MlockConfig{}.current() && MlockConfig{}.future() && MlockConfig{}.required());
static_assert(!MlockConfig{}.onfault());
static_assert(!MlockConfig::builder().current(false).build().current());
static_assert(!MlockConfig::builder().future(false).build().future());
static_assert(!MlockConfig::builder().required(false).build().required());
static_assert(MlockConfig::builder().onfault(true).build().onfault());
static_assert(MlockConfig::builder().onfault(true).onfault(false).build() == MlockConfig{});
static_assert(MlockConfig::builder().current(false).build() !=
              MlockConfig::builder().future(false).build());

constexpr bool property_is_set_alone(bool current, bool future, bool required, bool onfault) {
  const auto config = MlockConfig::builder()
                          .onfault(onfault)
                          .required(required)
                          .future(future)
                          .current(current)
                          .build();
  return config.current() == current && config.future() == future &&
         config.required() == required && config.onfault() == onfault;
}
static_assert(property_is_set_alone(true, false, false, false));
static_assert(property_is_set_alone(false, true, false, false));
static_assert(property_is_set_alone(false, false, true, false));
static_assert(property_is_set_alone(false, false, false, true));

TEST_CASE("a config prints its properties") {
  CHECK(printed(MlockConfig{}) ==
        "MlockConfig { current: true, future: true, required: true, onfault: false }");
}

// MlockStatus

constexpr MlockStatus kLocked = MlockStatus::Locked(4096);
static_assert(kLocked.is_locked() && !kLocked.is_failed() && !kLocked.is_unsupported());
static_assert(kLocked.bytes_locked() == 4096 && !kLocked.failure_errno());
constexpr MlockStatus kFailed = MlockStatus::Failed(ENOMEM);
static_assert(!kFailed.is_locked() && kFailed.is_failed() && !kFailed.is_unsupported());
static_assert(kFailed.bytes_locked() == 0 && kFailed.failure_errno() == ENOMEM);
constexpr MlockStatus kUnsupported = MlockStatus::Unsupported;
static_assert(!kUnsupported.is_locked() && !kUnsupported.is_failed());
static_assert(kUnsupported.is_unsupported() && !kUnsupported.failure_errno());
static_assert(kUnsupported.bytes_locked() == 0);
static_assert(kLocked == MlockStatus::Locked(4096) && kLocked != MlockStatus::Locked(4097));
static_assert(kFailed != MlockStatus::Failed(EPERM) && kFailed != kUnsupported);
static_assert(MlockStatus::Failed(0).is_failed() && MlockStatus::Failed(0).failure_errno() == 0);

TEST_CASE("a status prints in the crate's words") {
  struct Row {
    MlockStatus status;
    const char* text;
  };
  const Row rows[] = {
      {MlockStatus::Locked(0), "locked (0 bytes)"},
      {MlockStatus::Locked(512), "locked (512 bytes)"},
      {MlockStatus::Locked(1023), "locked (1023 bytes)"},
      {MlockStatus::Locked(1024), "locked (1 KB)"},
      {MlockStatus::Locked(4096), "locked (4 KB)"},
      {MlockStatus::Locked(1024 * 1024 - 1), "locked (1023 KB)"},
      {MlockStatus::Locked(1024 * 1024), "locked (1 MB)"},
      {MlockStatus::Locked(10 * 1024 * 1024), "locked (10 MB)"},
      {MlockStatus::Locked(SIZE_MAX), "locked (17592186044415 MB)"},
      {MlockStatus::Failed(12), "failed (errno=12)"},
      {MlockStatus::Unsupported, "unsupported platform"},
  };
  for (const Row& row : rows) {
    CHECK(std::string(row.status.message().view()) == row.text);
    CHECK(printed(row.status) == row.text);
  }
}

// MlockError

static_assert(MlockError::from_errno(EPERM) == MlockError::PermissionDenied);
static_assert(MlockError::from_errno(ENOMEM) == MlockError::ResourceLimit);
static_assert(MlockError::from_errno(EINVAL) == MlockError::InvalidArgument);
static_assert(MlockError::from_errno(EAGAIN) == MlockError::WouldBlock);
static_assert(MlockError::from_errno(ENOSYS) == MlockError::Unknown(ENOSYS));
static_assert(MlockError::Unknown(ENOSYS) != MlockError::Unknown(EIO));
static_assert(MlockError::Unknown(EPERM) != MlockError::PermissionDenied);
static_assert(MlockError::PermissionDenied.errno_value() == EPERM);
static_assert(MlockError::ResourceLimit.errno_value() == ENOMEM);
static_assert(MlockError::InvalidArgument.errno_value() == EINVAL);
static_assert(MlockError::WouldBlock.errno_value() == EAGAIN);
static_assert(MlockError::Unknown(-5).errno_value() == -5);
static_assert(MlockError::PermissionDenied.is_permission_error());
static_assert(!MlockError::PermissionDenied.is_resource_limit());
static_assert(MlockError::ResourceLimit.is_resource_limit());
static_assert(!MlockError::ResourceLimit.is_permission_error());
static_assert(!MlockError::Unknown(EPERM).is_permission_error());

TEST_CASE("an error prints in the crate's words") {
  struct Row {
    MlockError error;
    const char* text;
  };
  const Row rows[] = {
      {MlockError::PermissionDenied,
       "permission denied: need CAP_IPC_LOCK capability or root (docker: --cap-add=IPC_LOCK)"},
      {MlockError::ResourceLimit,
       "resource limit: RLIMIT_MEMLOCK too low or insufficient memory "
       "(docker: --ulimit memlock=-1:-1)"},
      {MlockError::InvalidArgument, "invalid argument: unsupported flags for this kernel"},
      {MlockError::WouldBlock, "would block: some pages could not be locked"},
      {MlockError::Unknown(38), "mlock failed with errno=38"},
  };
  for (const Row& row : rows) {
    CHECK_FALSE(row.error.message().truncated());
    CHECK(std::string(row.error.message().view()) == row.text);
    CHECK(printed(row.error) == row.text);
  }
}

// Result

constexpr Result<int> kFive = 5;
constexpr Result<int> kDenied = Unexpected(MlockError::PermissionDenied);
static_assert(kFive && kFive.has_value() && *kFive == 5);
static_assert(!kDenied && !kDenied.has_value());
static_assert(kDenied.error() == MlockError::PermissionDenied);
static_assert(kFive.value_or(1) == 5 && kDenied.value_or(1) == 1);
static_assert(kFive.error_or(MlockError::WouldBlock) == MlockError::WouldBlock);
static_assert(kDenied.error_or(MlockError::WouldBlock) == MlockError::PermissionDenied);
static_assert(kFive == Result<int>(5) && kFive != Result<int>(6) && kFive != kDenied);
static_assert(kDenied != Result<int>(Unexpected(MlockError::WouldBlock)));

constexpr Result<long> twice(const int& number) { return 2L * number; }
constexpr Result<int> zero(const MlockError&) { return 0; }
constexpr int errno_of(const MlockError& error) { return error.errno_value(); }
static_assert(*kFive.and_then(twice) == 10 && !kDenied.and_then(twice));
static_assert(kDenied.and_then(twice).error() == MlockError::PermissionDenied);
static_assert(*kFive.or_else(zero) == 5 && *kDenied.or_else(zero) == 0);
static_assert(*kFive.transform([](int number) { return number + 1; }) == 6);
static_assert(kDenied.transform([](int number) { return number + 1; }).error() ==
              MlockError::PermissionDenied);
static_assert(kFive.transform([](int) {}).has_value());
static_assert(kDenied.transform_error(errno_of).error() == EPERM);
static_assert(*kFive.transform_error(errno_of) == 5);

constexpr Result<void> kDone;
constexpr Result<void> kRefused = Unexpected(MlockError::ResourceLimit);
static_assert(kDone && !kRefused && kDone != kRefused && kDone == Result<void>());
static_assert(kRefused.error() == MlockError::ResourceLimit);
static_assert(kDone.error_or(MlockError::WouldBlock) == MlockError::WouldBlock);
static_assert(*kDone.and_then([] { return Result<int>(1); }) == 1);
static_assert(!kRefused.and_then([] { return Result<int>(1); }));
static_assert(kRefused.or_else([](const MlockError&) { return Result<void>(); }).has_value());
static_assert(*kDone.transform([] { return 3; }) == 3);
static_assert(kRefused.transform_error(errno_of).error() == ENOMEM);

TEST_CASE("a result gives access to its value's members") {
  const Result<MlockStatus> result = MlockStatus::Locked(7);
  CHECK(result->bytes_locked() == 7);
}

}  // namespace
