// SPDX-License-Identifier: MIT OR Apache-2.0
// Cost of fork(2) by DUENDE_MLOCK_FORK and size of the parent: until the child runs.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstring>
#include <string>

#include "measure.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr std::size_t kMebibyte = 1024 * 1024;
constexpr int kSizes[] = {16, 32, 64, 128, 256, 512};
constexpr int kForks = 5;

struct Mode {
  const char* name;
  bool preloaded;
  const char* fork;  // DUENDE_MLOCK_FORK
};
constexpr Mode kModes[] = {{"no library", false, ""},
                           {"off", true, "off"},
                           {"lazy", true, "lazy"},
                           {"full", true, "full"}};
constexpr int kOff = 1, kLazy = 2, kFull = 3;  // rows of the above

[[nodiscard]] bool is_locked() {
  std::FILE* const status = std::fopen("/proc/self/status", "re");
  must(status != nullptr, "/proc/self/status");
  char line[256];
  long kibibytes = 0;
  while (std::fgets(line, sizeof line, status) != nullptr &&
         std::sscanf(line, "VmLck: %ld", &kibibytes) != 1) {
  }
  std::fclose(status);
  return kibibytes > 0;
}

/// Shared with the children, who write when they began to run, after the fork handlers.
[[nodiscard]] Clock::time_point* shared_time() {
  void* const page = ::mmap(nullptr, sizeof(Clock::time_point), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(page != MAP_FAILED, "mmap");
  return static_cast<Clock::time_point*>(page);
}

[[nodiscard]] double cheapest_fork(Clock::time_point* begun) {
  Samples samples;
  for (int i = 0; i < kForks; ++i) {
    const auto before = Clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
      *begun = Clock::now();
      ::_exit(0);
    }
    must(child > 0 && ::waitpid(child, nullptr, 0) == child, "fork");
    samples.add(*begun - before);
  }
  return samples.minimum();
}

/// One more fork, not timed: whether its child is as the mode says.
void check_child(bool locked) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(is_locked() == locked ? 0 : 1);
  }
  int status = 0;
  must(::waitpid(child, &status, 0) == child, "fork");
  must(status == 0, locked ? "locking the child (as root, or with a higher memlock limit?)"
                           : "leaving the child unlocked");
}

/// The measured process, with the library in it or not: writes one number per size.
int measure(bool children_locked) {
  Clock::time_point* const begun = shared_time();
  for (const int size : kSizes) {
    const std::size_t bytes = static_cast<std::size_t>(size) * kMebibyte;
    void* const block =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(block != MAP_FAILED, "mmap");
    // 4 KiB pages on every machine: huge ones would hide what fork copies per page.
    ::madvise(block, bytes, MADV_NOHUGEPAGE);
    std::memset(block, 1, bytes);
    std::printf("%f\n", cheapest_fork(begun));
    check_child(children_locked);
    ::munmap(block, bytes);
  }
  return 0;
}

[[nodiscard]] std::vector<double> run(const Mode& mode, const std::string& self,
                                      const std::string& library) {
  const bool locked = mode.preloaded && std::strcmp(mode.fork, "off") != 0;
  std::string command = "exec env -u LD_PRELOAD ";
  if (mode.preloaded) {
    command += "LD_PRELOAD='" + library + "' DUENDE_MLOCK_LOG=error DUENDE_MLOCK_FORK=" + mode.fork;
  }
  command += " '" + self + (locked ? "' --children=locked" : "' --children=unlocked");
  std::FILE* const output = ::popen(command.c_str(), "re");
  must(output != nullptr, "popen");
  std::vector<double> costs;
  double cost = 0;
  while (std::fscanf(output, "%lf", &cost) == 1) {
    costs.push_back(cost);
  }
  must(::pclose(output) == 0 && costs.size() == std::size(kSizes), mode.name);
  return costs;
}

int compare(const std::string& self, const std::string& library) {
  std::vector<std::vector<double>> columns;
  for (const Mode& mode : kModes) {
    columns.push_back(run(mode, self, library));
  }
  std::printf("fork until the child runs, minimum of %d, in us, by DUENDE_MLOCK_FORK\n", kForks);
  std::printf("%10s", "parent MiB");
  for (const Mode& mode : kModes) {
    std::printf(" %10s", mode.name);
  }
  std::printf("   locking alone, full / lazy\n");
  for (std::size_t row = 0; row < std::size(kSizes); ++row) {
    std::printf("%10d", kSizes[row]);
    for (const auto& column : columns) {
      std::printf(" %10.0f", column[row]);
    }
    std::printf(" %28.1f\n", (columns[kFull][row] - columns[kOff][row]) /
                                 (columns[kLazy][row] - columns[kOff][row]));
  }
  std::printf("%10s", "growth");
  for (const auto& column : columns) {
    std::printf(" %9.1fx", column.back() / column.front());
  }
  std::printf("\n");
  return 0;
}

}  // namespace

/// fork LIBRARY
int main(int argc, char** argv) {
  must(argc == 2, "usage: fork LIBRARY");
  const std::string argument = argv[1];
  if (argument.starts_with("--children=")) {
    return measure(argument == "--children=locked");
  }
  char self[4096] = {};
  must(::readlink("/proc/self/exe", self, sizeof self - 1) > 0, "/proc/self/exe");
  return compare(self, argument);
}
