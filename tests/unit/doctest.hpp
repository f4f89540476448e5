// SPDX-License-Identifier: MIT OR Apache-2.0
// doctest, taught to print what these tests compare.
#pragma once

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace doctest {

template <>
struct StringMaker<const char*> {
  static String convert(const char* text) { return text; }
};

template <>
struct StringMaker<std::vector<std::string>> {
  static String convert(const std::vector<std::string>& strings) {
    std::string text;
    for (const std::string& string : strings) {
      text += "\n    " + string;
    }
    return text.c_str();
  }
};

}  // namespace doctest
