// SPDX-License-Identifier: MIT OR Apache-2.0
// MlockError: why memory could not be locked.
#pragma once

#include <cerrno>
#include <iosfwd>

#include <duende/mlock/detail/text.hpp>

namespace duende::mlock {

/// Why mlockall(2) or munlockall(2) failed. The counterpart of the Rust crate's enum of the
/// same name: five values to compare with, of which `Unknown` carries an errno.
/// Trivially copyable; every member is thread-safe and async-signal-safe.
class MlockError {
 public:
  /// EPERM: RLIMIT_MEMLOCK is 0 and CAP_IPC_LOCK is missing; or seccomp or an LSM refused.
  static const MlockError PermissionDenied;
  /// ENOMEM: the address space is larger than RLIMIT_MEMLOCK and CAP_IPC_LOCK is missing.
  static const MlockError ResourceLimit;
  /// EINVAL: a flag the kernel does not know (MCL_ONFAULT before Linux 4.4), or on-fault alone.
  static const MlockError InvalidArgument;
  /// EAGAIN: some pages could not be locked (macOS, POSIX; Linux never says so).
  static const MlockError WouldBlock;
  /// Any other errno.
  [[nodiscard]] static constexpr MlockError Unknown(int errno_value) noexcept {
    return MlockError(Kind::unknown, errno_value);
  }

  [[nodiscard]] static constexpr MlockError from_errno(int errno_value) noexcept {
    switch (errno_value) {
      case EPERM: return MlockError(Kind::permission_denied, errno_value);
      case ENOMEM: return MlockError(Kind::resource_limit, errno_value);
      case EINVAL: return MlockError(Kind::invalid_argument, errno_value);
      case EAGAIN: return MlockError(Kind::would_block, errno_value);
      default: return Unknown(errno_value);
    }
  }

  /// The errno this error stands for (`errno` itself is a macro in C and C++).
  [[nodiscard]] constexpr int errno_value() const noexcept { return errno_; }
  [[nodiscard]] constexpr bool is_permission_error() const noexcept {
    return kind_ == Kind::permission_denied;
  }
  [[nodiscard]] constexpr bool is_resource_limit() const noexcept {
    return kind_ == Kind::resource_limit;
  }

  /// One line for people, in the Rust crate's wording. Never allocates.
  [[nodiscard]] constexpr detail::Text<127> message() const noexcept {
    detail::Text<127> text;
    switch (kind_) {
      case Kind::permission_denied:
        return text << "permission denied: need CAP_IPC_LOCK capability or root "
                       "(docker: --cap-add=IPC_LOCK)";
      case Kind::resource_limit:
        return text << "resource limit: RLIMIT_MEMLOCK too low or insufficient memory "
                       "(docker: --ulimit memlock=-1:-1)";
      case Kind::invalid_argument:
        return text << "invalid argument: unsupported flags for this kernel";
      case Kind::would_block: return text << "would block: some pages could not be locked";
      case Kind::unknown: break;
    }
    return text << "mlock failed with errno=" << errno_;
  }

  friend constexpr bool operator==(const MlockError&, const MlockError&) noexcept = default;

  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream,
                                                      const MlockError& error) {
    return stream << error.message().c_str();
  }

 private:
  enum class Kind : unsigned char {
    permission_denied,
    resource_limit,
    invalid_argument,
    would_block,
    unknown,
  };
  constexpr MlockError(Kind kind, int errno_value) noexcept : kind_(kind), errno_(errno_value) {}

  Kind kind_;
  int errno_;
};

inline constexpr MlockError MlockError::PermissionDenied = MlockError::from_errno(EPERM);
inline constexpr MlockError MlockError::ResourceLimit = MlockError::from_errno(ENOMEM);
inline constexpr MlockError MlockError::InvalidArgument = MlockError::from_errno(EINVAL);
inline constexpr MlockError MlockError::WouldBlock = MlockError::from_errno(EAGAIN);

}  // namespace duende::mlock
