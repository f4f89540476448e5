// SPDX-License-Identifier: MIT OR Apache-2.0
// Cost of a call of madvise and mmap, before which the library stands: on memory that is locked,
// and on memory that is not.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr int kRounds = 7;
constexpr int kBatches = 60;
constexpr int kCalls = 1000;  // in a batch
constexpr double kMost = 50;  // ns that the library may add

constexpr std::size_t kNameCount = 4;

struct Column {
  Way way;
  const char* measure;
  Samples samples[kNameCount] = {};
};

constexpr const char* kNames[kNameCount] = {"madvise(MADV_DONTNEED)", "madvise(MADV_WILLNEED)",
                                            "mmap, munmap", "mmap, munmap of a file"};
constexpr std::size_t kSize = 65536;

/// Nanoseconds of one call, in the best batch.
template <typename Call>
[[nodiscard]] double nanoseconds_of(Call&& call) {
  Samples samples;
  for (int batch = 0; batch < kBatches; ++batch) {
    samples.add(time_of([&] {
      for (int i = 0; i < kCalls; ++i) {
        call();
      }
    }));
  }
  return samples.minimum() * 1000 / kCalls;
}

void map_and_unmap(int flags, int file) {
  void* const memory = ::mmap(nullptr, kSize, PROT_READ, flags, file, 0);
  must(memory != MAP_FAILED && ::munmap(memory, kSize) == 0, "mmap");
}

/// The measured process; `locked`: by itself, so that the kernel's part is seen alone.
int measure(bool locked) {
  must(!locked || ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0, "mlockall");
  void* const memory =
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(memory != MAP_FAILED, "mmap");
  std::FILE* const file = std::tmpfile();
  must(file != nullptr && ::ftruncate(::fileno(file), kSize) == 0, "a file");
  // Refused on locked memory where nothing stands in front of it.
  const double dontneed = nanoseconds_of([&] { ::madvise(memory, kSize, MADV_DONTNEED); });
  const double willneed = nanoseconds_of([&] { ::madvise(memory, kSize, MADV_WILLNEED); });
  const double anonymous = nanoseconds_of([] { map_and_unmap(MAP_PRIVATE | MAP_ANONYMOUS, -1); });
  const double mapped = nanoseconds_of([&] { map_and_unmap(MAP_SHARED, ::fileno(file)); });
  std::printf("%f %f %f %f\n", dontneed, willneed, anonymous, mapped);
  return 0;
}

void print_row(std::size_t row, const std::vector<Column>& columns) {
  std::printf("%-24s", kNames[row]);
  for (const Column& column : columns) {
    const double time = column.samples[row].minimum() * 1000;
    // Of what is like it but for the library.
    const std::size_t like = static_cast<std::size_t>(&column - columns.data()) / 2 * 2;
    const double before = columns[like].samples[row].minimum() * 1000;
    std::printf("  %7.0f %+6.0f%c", time, time - before, time - before > kMost ? '*' : ' ');
  }
  std::printf("\n");
}

int compare(const std::string& library) {
  const rlimit limit = {8 * kMebibyte, 8 * kMebibyte};
  must(::setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "a memlock limit of 8 MiB");
  ::setenv("DUENDE_MLOCK_RAISE_LIMIT", "0", 1);
  std::vector<Column> columns = {
      {{"no library"}, "--measure"},
      {{"library", true, "DUENDE_MLOCK_FUTURE=0"}, "--measure"},
      {{"mlockall alone"}, "--measure=locked"},
      {{"library, FUTURE=1", true, "DUENDE_MLOCK_FUTURE=1"}, "--measure"},
  };
  for (int round = 0; round < kRounds; ++round) {
    for (Column& column : columns) {
      const auto numbers = numbers_of(column.way, library, column.measure);
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        column.samples[i].add(Microseconds(numbers[i] / 1000));
      }
    }
  }
  std::printf(
      "a call on 64 KiB, in ns, and what is added to it: minimum of %d interleaved rounds\n",
      kRounds);
  std::printf(
      "* more than %.0f ns; mlockall alone: all memory locked, nothing in front of a call\n",
      kMost);
  std::printf("%-24s", "");
  for (const Column& column : columns) {
    std::printf("  %15s", column.way.name);
  }
  std::printf("\n");
  for (std::size_t row = 0; row < std::size(kNames); ++row) {
    print_row(row, columns);
  }
  return 0;
}

}  // namespace

/// calls LIBRARY
int main(int argc, char** argv) {
  must(argc == 2, "usage: calls LIBRARY");
  const std::string argument = argv[1];
  if (argument.starts_with("--")) {
    return measure(argument == "--measure=locked");
  }
  if (::geteuid() != 0) {
    std::printf("skipped: only root may lock beyond the limit\n");
    return 77;
  }
  return compare(argument);
}
