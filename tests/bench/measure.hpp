// SPDX-License-Identifier: MIT OR Apache-2.0
// What the benchmarks share: a clock, samples with their minimum and median, a failed call.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace duende::mlock::bench {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

/// Durations of one thing that was done many times; never empty when asked.
class Samples {
 public:
  void add(Microseconds duration) { values_.push_back(duration.count()); }
  [[nodiscard]] double minimum() const { return *std::ranges::min_element(values_); }
  [[nodiscard]] double median() const {
    std::vector<double> sorted = values_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::ranges::nth_element(sorted, middle);
    return *middle;
  }

 private:
  std::vector<double> values_;
};

template <typename Action>
[[nodiscard]] Microseconds time_of(Action&& action) {
  const auto begin = Clock::now();
  action();
  return Clock::now() - begin;
}

/// Ends the benchmark unless `good`; `what` says which step did not work.
inline void must(bool good, const char* what) {
  if (!good) {
    std::fprintf(stderr, "bench: %s failed\n", what);
    std::exit(1);
  }
}

}  // namespace duende::mlock::bench
