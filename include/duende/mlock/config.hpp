// SPDX-License-Identifier: MIT OR Apache-2.0
// MlockConfig: what to lock, and whether a failure is fatal.
#pragma once

#include <iosfwd>

#include <duende/mlock/detail/text.hpp>

namespace duende::mlock {

class MlockConfigBuilder;

/// What to lock. `MlockConfig{}` equals `MlockConfig::builder().build()`.
/// Trivially copyable; every member is constexpr, thread-safe and async-signal-safe.
class MlockConfig {
 public:
  constexpr MlockConfig() noexcept = default;
  [[nodiscard]] static constexpr MlockConfigBuilder builder() noexcept;

  /// Lock what is mapped now (MCL_CURRENT). Default: true.
  [[nodiscard]] constexpr bool current() const noexcept { return current_; }
  /// Lock what is mapped later (MCL_FUTURE). Default: true.
  [[nodiscard]] constexpr bool future() const noexcept { return future_; }
  /// A failure is an error, not a status. Default: true.
  [[nodiscard]] constexpr bool required() const noexcept { return required_; }
  /// Lock each page as it is first touched instead of populating everything
  /// (MCL_ONFAULT, Linux 4.4; ignored where the platform has no such flag). Default: false.
  [[nodiscard]] constexpr bool onfault() const noexcept { return onfault_; }

  friend constexpr bool operator==(const MlockConfig&, const MlockConfig&) noexcept = default;

  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream,
                                                      const MlockConfig& config) {
    constexpr auto word = [](bool value) { return value ? "true" : "false"; };
    return stream << "MlockConfig { current: " << word(config.current_)
                  << ", future: " << word(config.future_)
                  << ", required: " << word(config.required_)
                  << ", onfault: " << word(config.onfault_) << " }";
  }

 private:
  friend class MlockConfigBuilder;
  bool current_ = true;
  bool future_ = true;
  bool required_ = true;
  bool onfault_ = false;
};

/// Sets one property a call; `build()` may be called any number of times.
class MlockConfigBuilder {
 public:
  [[nodiscard]] constexpr MlockConfigBuilder current(bool value) const noexcept {
    return with(&MlockConfig::current_, value);
  }
  [[nodiscard]] constexpr MlockConfigBuilder future(bool value) const noexcept {
    return with(&MlockConfig::future_, value);
  }
  [[nodiscard]] constexpr MlockConfigBuilder required(bool value) const noexcept {
    return with(&MlockConfig::required_, value);
  }
  /// Pages are locked as they are touched: MCL_ONFAULT, Linux 4.4. What has been swapped out stays
  /// so until then.
  [[nodiscard]] constexpr MlockConfigBuilder onfault(bool value) const noexcept {
    return with(&MlockConfig::onfault_, value);
  }
  [[nodiscard]] constexpr MlockConfig build() const noexcept { return config_; }

 private:
  [[nodiscard]] constexpr MlockConfigBuilder with(bool MlockConfig::*property,
                                                  bool value) const noexcept {
    MlockConfigBuilder next = *this;
    next.config_.*property = value;
    return next;
  }
  MlockConfig config_;
};

constexpr MlockConfigBuilder MlockConfig::builder() noexcept { return {}; }

}  // namespace duende::mlock
