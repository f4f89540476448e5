// SPDX-License-Identifier: MIT OR Apache-2.0
// The reference's table of variables is the code's: prints the expected one where it is not.
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "preload/settings.hpp"

namespace {

/// In backticks, unless it is prose.
std::string code(std::string_view text) {
  const bool prose = text.find_first_of("`,:") != std::string_view::npos || text == "unset" ||
                     text == "all" || text.find(" to ") != std::string_view::npos;
  return prose ? std::string(text) : '`' + std::string(text) + '`';
}

// The meanings are in the table of variables only; the library does without.
#define BOOLEAN "1 0 true false yes no on off"
#define VARIABLE(name, accepted, fallback, meaning, parse) meaning,
constexpr std::string_view kMeanings[] = {
#include "preload/variables.inc"
};
#undef VARIABLE
#undef BOOLEAN

std::string expected_table() {
  std::string table = "| variable | values | default | meaning |\n|---|---|---|---|\n";
  const std::string_view* meaning = kMeanings;
  for (const auto& variable : duende::mlock::preload::variables()) {
    const std::string name = std::string(duende::mlock::preload::kPrefix) + variable.name;
    table += "| " + code(name) + " | " + code(variable.accepted) + " | " + code(variable.fallback) +
             " | " + std::string(*meaning++) + " |\n";
  }
  return table;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: reference_variables REFERENCE.md\n";
    return 2;
  }
  std::ifstream file(arguments[1]);
  const std::string reference(std::istreambuf_iterator<char>(file), {});
  if (reference.find("\n" + expected_table() + "\n") != std::string::npos) {
    return 0;
  }
  std::cout << arguments[1] << " does not have this table, which is the code's:\n\n"
            << expected_table();
  return 1;
}
