// SPDX-License-Identifier: MIT OR Apache-2.0
// What a round trip of seteuid costs under the library, against the same without it.
#include <doctest/doctest.h>
#include <algorithm>
#include <iostream>

#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

constexpr const char* kToggles = "50000";  // round trips: twice as many calls
constexpr int kRounds = 4;

std::uint64_t cost(Launch launch) {
  launch.identity = Identity::root;
  limit_locking(launch, kDefaultLimit);
  const Finished finished = run(launch);
  REQUIRE(finished.how() == "exit 0");
  return number(finished.out, "nanoseconds ");
}

}  // namespace

TEST_SUITE("seteuid") {
  TEST_CASE("the least of several interleaved rounds") {
    if (is_missing(Identity::root)) {
      return;
    }
    std::uint64_t without = ~std::uint64_t{0};
    std::uint64_t with = without;
    for (int round = 0; round < kRounds; ++round) {
      without = std::min(without, cost(plain("toggler", {kToggles})));
      with = std::min(with, cost(shimmed("toggler", {kToggles})));
    }
    std::cout << "seteuid there and back: " << without << " ns without, " << with
              << " ns with the library, ratio "
              << static_cast<double>(with) / static_cast<double>(without) << '\n';
  }
}

}  // namespace duende::mlock::test
