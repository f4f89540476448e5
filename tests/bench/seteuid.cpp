// SPDX-License-Identifier: MIT OR Apache-2.0
// Cost of dropping and regaining an effective user, which the library follows under a finite limit.
#include <sys/resource.h>
#include <unistd.h>

#include "process.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr int kRounds = 7;
constexpr int kPairs = 300;
constexpr int kFrequent = 1200;  // a daemon that goes back and forth all day
constexpr uid_t kUser = 65534;

constexpr Way kWays[] = {{"no library"},
                         {"not followed", true, "DUENDE_MLOCK_FUTURE=0"},
                         {"followed", true, "DUENDE_MLOCK_FUTURE=1"}};

void pair() { must(::seteuid(kUser) == 0 && ::seteuid(0) == 0, "seteuid"); }

[[nodiscard]] double cheapest_pair() {
  Samples samples;
  for (int i = 0; i < kPairs; ++i) {
    samples.add(time_of(pair));
  }
  return samples.minimum();
}

/// The measured process.
int measure() {
  const double at_first = cheapest_pair();
  for (int i = kPairs; i < kFrequent; ++i) {
    pair();
  }
  std::printf("%f %f\n", at_first, cheapest_pair());
  return 0;
}

int compare(const std::string& library) {
  const rlimit limit = {8 * kMebibyte, 8 * kMebibyte};
  must(::setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "a memlock limit of 8 MiB");
  // Who may raise a limit would make it infinite, and then nothing has to be followed.
  ::setenv("DUENDE_MLOCK_RAISE_LIMIT", "0", 1);
  Samples at_first[std::size(kWays)];
  Samples later[std::size(kWays)];
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < std::size(kWays); ++i) {
      const auto numbers = numbers_of(kWays[i], library, "--measure");
      at_first[i].add(Microseconds(numbers[0]));
      later[i].add(Microseconds(numbers[1]));
    }
  }
  std::printf("seteuid(%u) and seteuid(0) at a limit of 8 MiB, minimum of %d interleaved rounds\n",
              kUser, kRounds);
  std::printf("%-14s %9s %6s   %18s %6s\n", "", "pair, us", "ratio", "after 1000, us", "ratio");
  for (std::size_t i = 0; i < std::size(kWays); ++i) {
    std::printf("%-14s %9.2f %6.1f   %18.2f %6.1f\n", kWays[i].name, at_first[i].minimum(),
                at_first[i].minimum() / at_first[0].minimum(), later[i].minimum(),
                later[i].minimum() / later[0].minimum());
  }
  return 0;
}

}  // namespace

/// seteuid LIBRARY
int main(int argc, char** argv) {
  must(argc == 2, "usage: seteuid LIBRARY");
  if (::geteuid() != 0) {
    std::printf("skipped: only root has an effective user to drop\n");
    return 77;
  }
  return argv[1] == std::string("--measure") ? measure() : compare(argv[1]);
}
