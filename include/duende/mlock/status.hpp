// SPDX-License-Identifier: MIT OR Apache-2.0
// MlockStatus: what became of an attempt to lock memory.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>

#include <duende/mlock/detail/text.hpp>

namespace duende::mlock {

/// What became of an attempt that did not end in an error. The counterpart of the Rust
/// crate's enum of the same name. Trivially copyable; every member is thread-safe and
/// async-signal-safe.
class MlockStatus {
 public:
  /// The kernel accepted the lock; `bytes` is what it had charged at that moment (VmLck).
  [[nodiscard]] static constexpr MlockStatus Locked(std::size_t bytes) noexcept {
    return MlockStatus(Kind::locked, bytes, 0);
  }
  /// The kernel refused, and the lock was not required.
  [[nodiscard]] static constexpr MlockStatus Failed(int errno_value) noexcept {
    return MlockStatus(Kind::failed, 0, errno_value);
  }
  /// This platform cannot lock a process's memory, and the lock was not required.
  static const MlockStatus Unsupported;

  [[nodiscard]] constexpr bool is_locked() const noexcept { return kind_ == Kind::locked; }
  [[nodiscard]] constexpr bool is_failed() const noexcept { return kind_ == Kind::failed; }
  [[nodiscard]] constexpr bool is_unsupported() const noexcept {
    return kind_ == Kind::unsupported;
  }
  /// Bytes; 0 unless locked.
  [[nodiscard]] constexpr std::size_t bytes_locked() const noexcept { return bytes_locked_; }
  /// The errno of a failure; empty otherwise.
  [[nodiscard]] constexpr std::optional<int> failure_errno() const noexcept {
    return is_failed() ? std::optional<int>(errno_) : std::nullopt;
  }

  /// One line for people, in the Rust crate's wording: `locked (4 KB)`. Never allocates.
  [[nodiscard]] constexpr detail::Text<63> message() const noexcept {
    detail::Text<63> text;
    append_to(text);
    return text;
  }

  template <std::size_t Capacity>
  constexpr void append_to(detail::Text<Capacity>& text) const noexcept {
    constexpr std::size_t kKiB = 1024;
    constexpr std::size_t kMiB = 1024 * kKiB;
    if (is_failed()) {
      text << "failed (errno=" << errno_ << ')';
    } else if (is_unsupported()) {
      text << "unsupported platform";
    } else if (bytes_locked_ >= kMiB) {
      text << "locked (" << bytes_locked_ / kMiB << " MB)";
    } else if (bytes_locked_ >= kKiB) {
      text << "locked (" << bytes_locked_ / kKiB << " KB)";
    } else {
      text << "locked (" << bytes_locked_ << " bytes)";
    }
  }

  friend constexpr bool operator==(const MlockStatus&, const MlockStatus&) noexcept = default;

  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream,
                                                      const MlockStatus& status) {
    return stream << status.message().c_str();
  }

 private:
  enum class Kind : unsigned char { locked, failed, unsupported };
  constexpr MlockStatus(Kind kind, std::size_t bytes, int errno_value) noexcept
      : bytes_locked_(bytes), errno_(errno_value), kind_(kind) {}

  std::size_t bytes_locked_;
  int errno_;
  Kind kind_;
};

inline constexpr MlockStatus MlockStatus::Unsupported{Kind::unsupported, 0, 0};

}  // namespace duende::mlock
