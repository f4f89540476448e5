// SPDX-License-Identifier: MIT OR Apache-2.0
// Cost of fork(2) by DUENDE_MLOCK_FORK and size of the parent: until the child runs, and its
// memory.
#include "forks.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr int kSizes[] = {16, 64, 256, 1024, 4096};
constexpr int kNumbers = 3;  // that the measured process prints for each size

constexpr Way kWays[] = {{"no library"},
                         {"off", true, "DUENDE_MLOCK_FORK=off"},
                         {"lazy", true, "DUENDE_MLOCK_FORK=lazy"},
                         {"full", true, "DUENDE_MLOCK_FORK=full"}};
constexpr int kLazy = 2, kFull = 3;  // rows of the above

/// The measured process: sizes up to that many MiB.
int measure(bool children_locked, int largest) {
  const Forks forks;
  for (const int size : kSizes) {
    if (size > largest) {
      break;
    }
    const std::size_t bytes = static_cast<std::size_t>(size) * kMebibyte;
    void* const block = touched_memory(bytes);
    const ForkCost cost = forks.measure(size <= 256 ? 5 : 2, children_locked);
    std::printf("%f %f %f\n", cost.microseconds, cost.copied, cost.resident);
    ::munmap(block, bytes);
  }
  return 0;
}

int compare(const std::string& library) {
  int largest = 0;
  for (const int size : kSizes) {
    largest = affordable(2.0 * size) ? size : largest;  // full copies it
  }
  std::vector<std::vector<double>> columns;
  for (const Way& way : kWays) {
    const bool locked = &way - kWays >= kLazy;
    columns.push_back(
        numbers_of(way, library, (locked ? "--locked=" : "--unlocked=") + std::to_string(largest)));
  }
  std::printf("fork until the child runs, by DUENDE_MLOCK_FORK: minimum, in us; what is the\n");
  std::printf("child's alone (Private_Dirty), and resident in it only, in MiB\n");
  std::printf("%10s %10s %8s %8s %8s  %10s %10s  %10s %10s\n", "parent MiB", kWays[0].name,
              kWays[1].name, kWays[2].name, kWays[3].name, "alone lazy", "alone full", "more lazy",
              "more full");
  for (std::size_t row = 0; row < columns[0].size() / kNumbers; ++row) {
    const auto at = [&](int column, std::size_t number) {
      return columns[static_cast<std::size_t>(column)][row * kNumbers + number];
    };
    std::printf("%10d %10.0f %8.0f %8.0f %8.0f  %10.1f %10.1f  %10.1f %10.1f\n", kSizes[row],
                at(0, 0), at(1, 0), at(kLazy, 0), at(kFull, 0), at(kLazy, 1), at(kFull, 1),
                at(kLazy, 2), at(kFull, 2));
  }
  if (largest < kSizes[std::size(kSizes) - 1]) {
    std::printf(
        "beyond %d MiB: not measured, for twice that has to fit into half of what is free\n",
        largest);
  }
  return 0;
}

}  // namespace

/// fork LIBRARY
int main(int argc, char** argv) {
  must(argc == 2, "usage: fork LIBRARY");
  const std::string argument = argv[1];
  if (argument.starts_with("--")) {
    return measure(argument.starts_with("--locked="),
                   std::atoi(argument.c_str() + argument.find('=') + 1));
  }
  return compare(argument);
}
