// SPDX-License-Identifier: MIT OR Apache-2.0
// doctest's main, with exit status 77 when a precondition was missing and nothing failed.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <cstdio>

#include "precondition.hpp"

namespace duende::mlock::test {

namespace {
bool g_skipped = false;
}

bool skip(const std::string& missing) {
  std::printf("skipped: %s\n", missing.c_str());
  g_skipped = true;
  return true;
}

}  // namespace duende::mlock::test

int main(int count, char** arguments) {
  constexpr int kSkipped = 77;
  doctest::Context context(count, arguments);
  const int result = context.run();
  return result == 0 && duende::mlock::test::g_skipped ? kSkipped : result;
}
