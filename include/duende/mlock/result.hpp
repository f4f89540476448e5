// SPDX-License-Identifier: MIT OR Apache-2.0
// Result: a value or an error, with the member names of std::expected.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <duende/mlock/error.hpp>

namespace duende::mlock {

/// Wraps an error on its way into a Result, as std::unexpected does.
template <class E>
class Unexpected {
 public:
  constexpr explicit Unexpected(E error) noexcept : error_(error) {}
  [[nodiscard]] constexpr const E& error() const noexcept { return error_; }

 private:
  E error_;
};

/// Either a `T` or an `E`, both trivially copyable, and so itself. It has the members of
/// std::expected (C++23, which GCC 12 under meson 1.0 and clang 14 do not offer) except
/// `value()`, which throws. As there, `*result` without a value is undefined behaviour.
template <class T, class E = MlockError>
class [[nodiscard]] Result {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_copyable_v<E>);

 public:
  using value_type = T;
  using error_type = E;
  using unexpected_type = Unexpected<E>;

  constexpr Result(T value) noexcept : value_(value), has_value_(true) {}
  constexpr Result(Unexpected<E> unexpected) noexcept
      : error_(unexpected.error()), has_value_(false) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value_; }
  [[nodiscard]] constexpr const T& operator*() const noexcept { return value_; }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return &value_; }
  [[nodiscard]] constexpr const E& error() const noexcept { return error_; }
  [[nodiscard]] constexpr T value_or(T other) const noexcept { return has_value_ ? value_ : other; }
  [[nodiscard]] constexpr E error_or(E other) const noexcept { return has_value_ ? other : error_; }

  template <std::invocable<const T&> F>
  constexpr auto and_then(F&& next) const -> std::invoke_result_t<F, const T&> {
    if (has_value_) {
      return std::forward<F>(next)(value_);
    }
    return Unexpected(error_);
  }
  template <std::invocable<const E&> F>
  constexpr auto or_else(F&& handle) const -> std::invoke_result_t<F, const E&> {
    if (has_value_) {
      return value_;
    }
    return std::forward<F>(handle)(error_);
  }
  template <std::invocable<const T&> F>
  constexpr auto transform(F&& change) const -> Result<std::invoke_result_t<F, const T&>, E> {
    if (!has_value_) {
      return Unexpected(error_);
    }
    if constexpr (std::is_void_v<std::invoke_result_t<F, const T&>>) {
      std::forward<F>(change)(value_);
      return {};
    } else {
      return std::forward<F>(change)(value_);
    }
  }
  template <std::invocable<const E&> F>
  constexpr auto transform_error(F&& change) const -> Result<T, std::invoke_result_t<F, const E&>> {
    if (has_value_) {
      return value_;
    }
    return Unexpected(std::forward<F>(change)(error_));
  }

  friend constexpr bool operator==(const Result& a, const Result& b) noexcept {
    return a.has_value_ == b.has_value_ &&
           (a.has_value_ ? a.value_ == b.value_ : a.error_ == b.error_);
  }

 private:
  union {
    T value_;
    E error_;
  };
  bool has_value_;
};

/// Success without a value, or an `E`.
template <class E>
class [[nodiscard]] Result<void, E> {
  static_assert(std::is_trivially_copyable_v<E>);

 public:
  using value_type = void;
  using error_type = E;
  using unexpected_type = Unexpected<E>;

  constexpr Result() noexcept : nothing_(), has_value_(true) {}
  constexpr Result(Unexpected<E> unexpected) noexcept
      : error_(unexpected.error()), has_value_(false) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value_; }
  constexpr void operator*() const noexcept {}
  [[nodiscard]] constexpr const E& error() const noexcept { return error_; }
  [[nodiscard]] constexpr E error_or(E other) const noexcept { return has_value_ ? other : error_; }

  template <std::invocable F>
  constexpr auto and_then(F&& next) const -> std::invoke_result_t<F> {
    if (has_value_) {
      return std::forward<F>(next)();
    }
    return Unexpected(error_);
  }
  template <std::invocable<const E&> F>
  constexpr auto or_else(F&& handle) const -> std::invoke_result_t<F, const E&> {
    if (has_value_) {
      return {};
    }
    return std::forward<F>(handle)(error_);
  }
  template <std::invocable F>
  constexpr auto transform(F&& change) const -> Result<std::invoke_result_t<F>, E> {
    if (!has_value_) {
      return Unexpected(error_);
    }
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(change)();
      return {};
    } else {
      return std::forward<F>(change)();
    }
  }
  template <std::invocable<const E&> F>
  constexpr auto transform_error(F&& change) const
      -> Result<void, std::invoke_result_t<F, const E&>> {
    if (has_value_) {
      return {};
    }
    return Unexpected(std::forward<F>(change)(error_));
  }

  friend constexpr bool operator==(const Result& a, const Result& b) noexcept {
    return a.has_value_ == b.has_value_ && (a.has_value_ || a.error_ == b.error_);
  }

 private:
  union {
    char nothing_;
    E error_;
  };
  bool has_value_;
};

}  // namespace duende::mlock
