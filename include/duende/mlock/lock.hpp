// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions: lock, unlock, and ask.
#pragma once

#include <cstddef>

#include <duende/mlock/config.hpp>
#include <duende/mlock/detail/kernel.hpp>
#include <duende/mlock/detail/procfs.hpp>
#include <duende/mlock/result.hpp>
#include <duende/mlock/status.hpp>

namespace duende::mlock {

namespace detail {

[[nodiscard]] constexpr int mlockall_flags(const MlockConfig& config) noexcept {
  return (config.current() ? kMclCurrent : 0) | (config.future() ? kMclFuture : 0) |
         (config.onfault() ? kMclOnfault : 0);
}

/// 0 or an errno. No flags at all is nothing to do, and so done.
[[nodiscard]] inline int lock(const Kernel& kernel, const MlockConfig& config) noexcept {
  const int flags = mlockall_flags(config);
  return flags == 0 ? 0 : kernel.mlockall(flags);
}

[[nodiscard]] inline std::size_t locked_bytes(const Kernel& kernel) noexcept {
  const auto use = read_memory_use(kernel);
  return use ? use->locked : 0;
}

[[nodiscard]] inline Result<MlockStatus> lock_with_config(const Kernel& kernel,
                                                          const MlockConfig& config) noexcept {
  const int error = lock(kernel, config);
  if (error != 0 && config.required()) {
    return Unexpected(MlockError::from_errno(error));
  }
  if (error != 0) {
    return MlockStatus::Failed(error);
  }
  return MlockStatus::Locked(mlockall_flags(config) == 0 ? 0 : locked_bytes(kernel));
}

[[nodiscard]] inline Result<void> unlock_all(const Kernel& kernel) noexcept {
  const int error = kernel.munlockall();
  if (error != 0) {
    return Unexpected(MlockError::from_errno(error));
  }
  return {};
}

}  // namespace detail

/// Locks the calling process's memory as `config` says: mlockall(2).
///
/// With `required`, a failure is an error; without, it is a status. A config without any flag
/// is `Locked` with 0 bytes. Calls do not add up: the last one decides about future mappings.
/// Locks are not inherited over fork(2) and end at execve(2).
///
/// Errors: see MlockError. On platforms that cannot lock: `MlockStatus::Unsupported`, or
/// `MlockError::InvalidArgument` when required.
/// Thread-safe and async-signal-safe; never allocates; `errno` is preserved.
[[nodiscard]] inline Result<MlockStatus> lock_with_config(const MlockConfig& config) noexcept {
#if DUENDE_MLOCK_HAS_MLOCKALL
  const detail::ErrnoGuard guard;
  return detail::lock_with_config(detail::kSystemKernel, config);
#else
  if (config.required()) {
    return Unexpected(MlockError::InvalidArgument);
  }
  return MlockStatus::Unsupported;
#endif
}

/// `lock_with_config(MlockConfig{})`: everything, now and later, populated; failure is an error.
[[nodiscard]] inline Result<MlockStatus> lock_all() noexcept {
  return lock_with_config(MlockConfig{});
}

/// Unlocks everything and stops locking future mappings: munlockall(2). Unlocking what is not
/// locked succeeds, and so does unlocking where nothing can be locked.
/// Thread-safe and async-signal-safe; `errno` is preserved.
inline Result<void> unlock_all() noexcept {
#if DUENDE_MLOCK_HAS_MLOCKALL
  const detail::ErrnoGuard guard;
  return detail::unlock_all(detail::kSystemKernel);
#else
  return {};
#endif
}

/// Bytes of address space the kernel has charged as locked (`VmLck` of /proc/self/status);
/// with on-fault locks this is more than what is resident. 0 where it cannot be read: macOS
/// and other platforms, and Linux without /proc.
/// Thread-safe and async-signal-safe; `errno` is preserved.
[[nodiscard]] inline std::size_t locked_bytes() noexcept {
#if defined(__linux__)
  const detail::ErrnoGuard guard;
  return detail::locked_bytes(detail::kSystemKernel);
#else
  return 0;
#endif
}

/// Whether `locked_bytes()` is above 0. Thread-safe and async-signal-safe.
[[nodiscard]] inline bool is_locked() noexcept { return locked_bytes() != 0; }

}  // namespace duende::mlock
