// SPDX-License-Identifier: MIT OR Apache-2.0
// Text keeps its bounds, and numbers survive their extremes.
#include <duende/mlock/detail/text.hpp>

#include <climits>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "doctest.hpp"

namespace {

using duende::mlock::detail::after;
using duende::mlock::detail::ends_with;
using duende::mlock::detail::leading_number;
using duende::mlock::detail::starts_with;
using duende::mlock::detail::Text;

template <class Integer>
constexpr bool prints(Integer number, std::string_view expected) {
  Text<32> text;
  text << number;
  return text.view() == expected && !text.truncated();
}

static_assert(prints(0, "0"));
static_assert(prints(-1, "-1"));
static_assert(prints(INT_MIN, "-2147483648"));
static_assert(prints(INT_MAX, "2147483647"));
static_assert(prints(LLONG_MIN, "-9223372036854775808"));
static_assert(prints(LLONG_MAX, "9223372036854775807"));
static_assert(prints(ULLONG_MAX, "18446744073709551615"));
static_assert(prints(std::int8_t{-128}, "-128"));
static_assert(prints(std::uint8_t{255}, "255"));
static_assert(prints('7', "7"), "a char is a character, not a number");

static_assert(std::is_trivially_copyable_v<Text<63>>);

template <std::size_t Capacity>
constexpr Text<Capacity> cut(std::string_view source) {
  Text<Capacity> text;
  text << source;
  return text;
}

static_assert(cut<3>("abc").view() == "abc" && !cut<3>("abc").truncated());
static_assert(cut<3>("abcd").view() == "abc" && cut<3>("abcd").truncated());
static_assert(cut<0>("a").view().empty() && cut<0>("a").truncated());
static_assert(cut<0>("").empty() && !cut<0>("").truncated());

static_assert(starts_with("abc", "") && starts_with("abc", "abc") && !starts_with("ab", "abc"));
static_assert(ends_with("abc", "bc") && !ends_with("bc", "abc") && !ends_with("abc", "ab"));
static_assert(after("abc", 1) == "bc" && after("abc", 3).empty());

TEST_CASE("text that does not fit is cut and stays terminated") {
  Text<5> text;
  text << "1234" << 56789;
  CHECK(std::string(text.view()) == "12345");
  CHECK(std::string(text.c_str()) == "12345");
  CHECK(text.truncated());
  CHECK(text.size() == Text<5>::capacity());

  text << 'x' << "more" << -1;
  CHECK(std::string(text.c_str()) == "12345");
}

TEST_CASE("a NUL byte does not end a text") {
  Text<8> text;
  text << std::string_view("a\0b", 3);
  CHECK(text.size() == 3);
  CHECK(text.view() == std::string_view("a\0b", 3));
}

TEST_CASE("leading_number takes digits only, and saturates") {
  struct Row {
    const char* text;
    unsigned long long value;
    std::size_t length;
  };
  constexpr auto kMax = std::numeric_limits<unsigned long long>::max();
  constexpr Row kRows[] = {
      {"", 0, 0},
      {"x1", 0, 0},
      {" 1", 0, 0},
      {"+1", 0, 0},
      {"-1", 0, 0},
      {"0", 0, 1},
      {"007", 7, 3},
      {"12 kB", 12, 2},
      {"1e9", 1, 1},
      {"18446744073709551614", kMax - 1, 20},
      {"18446744073709551615", kMax, 20},
      {"18446744073709551616", kMax, 20},
      {"184467440737095516150", kMax, 21},
      {"99999999999999999999999999999999999999990", kMax, 41},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.text);
    const auto number = leading_number(row.text);
    CHECK(number.value == row.value);
    CHECK(number.length == row.length);
    CHECK(number.found == (row.length != 0));
  }
}

}  // namespace
