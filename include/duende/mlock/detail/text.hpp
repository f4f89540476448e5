// SPDX-License-Identifier: MIT OR Apache-2.0
// Text that lives in place: no heap, no locale, cut instead of overflowing.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>

namespace duende::mlock::detail {

/// Up to `Capacity` bytes of text. Every append goes through one bounds-checked byte,
/// so that text which does not fit is cut and `truncated()` says so.
/// Async-signal-safe; trivially copyable.
template <std::size_t Capacity>
class Text {
 public:
  constexpr Text& operator<<(char byte) noexcept {
    if (size_ < Capacity) {
      bytes_[size_++] = byte;
    } else {
      truncated_ = true;
    }
    return *this;
  }

  constexpr Text& operator<<(std::string_view text) noexcept {
    for (const char byte : text) {
      *this << byte;
    }
    return *this;
  }

  constexpr Text& operator<<(const char* text) noexcept { return *this << std::string_view(text); }

  /// Decimal.
  template <std::integral Integer>
  constexpr Text& operator<<(Integer number) noexcept {
    using Unsigned = unsigned long long;
    if (number < 0) {
      *this << '-';
      return append_decimal(Unsigned{0} - static_cast<Unsigned>(number));
    }
    return append_decimal(static_cast<Unsigned>(number));
  }

  [[nodiscard]] constexpr std::string_view view() const noexcept { return {bytes_, size_}; }
  [[nodiscard]] constexpr operator std::string_view() const noexcept { return view(); }
  [[nodiscard]] constexpr const char* c_str() const noexcept { return bytes_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr bool truncated() const noexcept { return truncated_; }
  static constexpr std::size_t capacity() noexcept { return Capacity; }

 private:
  constexpr Text& append_decimal(unsigned long long number) noexcept {
    char digits[20] = {};  // 2^64 has 20 digits
    std::size_t count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (count != 0) {
      *this << digits[--count];
    }
    return *this;
  }

  char bytes_[Capacity + 1] = {};  // stays NUL-terminated: the last byte is never written
  std::size_t size_ = 0;
  bool truncated_ = false;
};

/// As the members of std::string_view, which in an unoptimised build refer to libstdc++'s
/// exceptions; the preload library links with libc alone.
[[nodiscard]] constexpr bool starts_with(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && std::string_view(text.data(), prefix.size()) == prefix;
}
[[nodiscard]] constexpr bool ends_with(std::string_view text, std::string_view suffix) noexcept {
  return text.size() >= suffix.size() &&
         std::string_view(text.data() + text.size() - suffix.size(), suffix.size()) == suffix;
}
/// What follows the first `count` bytes.
[[nodiscard]] constexpr std::string_view after(std::string_view text, std::size_t count) noexcept {
  text.remove_prefix(count);
  return text;
}

/// A run of decimal digits at the start of `text`; `found` is false without one.
/// Saturates at the largest value instead of wrapping.
struct Number {
  unsigned long long value = 0;
  std::size_t length = 0;
  bool found = false;
};

[[nodiscard]] constexpr Number leading_number(std::string_view text) noexcept {
  constexpr auto kMax = ~0ULL;
  Number number;
  for (const char byte : text) {
    if (byte < '0' || byte > '9') {
      break;
    }
    const auto digit = static_cast<unsigned long long>(byte - '0');
    number.value = number.value > (kMax - digit) / 10 ? kMax : number.value * 10 + digit;
    number.found = true;
    ++number.length;
  }
  return number;
}

}  // namespace duende::mlock::detail
