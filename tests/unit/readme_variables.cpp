// SPDX-License-Identifier: MIT OR Apache-2.0
// The README's table of variables is the code's: prints the expected one where it is not.
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "preload/settings.hpp"

namespace {

/// In backticks, unless it has some of its own or is prose.
std::string code(std::string_view text) {
  const bool prose = text.find_first_of("`,:") != std::string_view::npos;
  return prose ? std::string(text) : '`' + std::string(text) + '`';
}

std::string expected_table() {
  std::string table = "| variable | values | default | meaning |\n|---|---|---|---|\n";
  for (const auto& variable : duende::mlock::preload::variables()) {
    const std::string name = std::string(duende::mlock::preload::kPrefix) + variable.name.data();
    table += "| " + code(name) + " | " + code(variable.accepted) + " | " + code(variable.fallback) +
             " | " + std::string(variable.meaning) + " |\n";
  }
  return table;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: readme_variables README.md\n";
    return 2;
  }
  std::ifstream file(arguments[1]);
  const std::string readme(std::istreambuf_iterator<char>(file), {});
  if (readme.find("\n" + expected_table() + "\n") != std::string::npos) {
    return 0;
  }
  std::cout << arguments[1] << " does not have this table, which is the code's:\n\n"
            << expected_table();
  return 1;
}
