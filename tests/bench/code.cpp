// SPDX-License-Identifier: MIT OR Apache-2.0
// Cost of fork(2) with a hundred megabytes of code, those of libLLVM: linked, and loaded by name.
#include <dlfcn.h>
#include <glob.h>
#include <unistd.h>

#include "forks.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr int kRounds = 5;
constexpr int kForks = 15;
constexpr const char* kPatterns[] = {"/usr/lib/*/libLLVM-*.so*", "/usr/lib/*/libLLVM.so*",
                                     "/usr/lib/llvm-*/lib/libLLVM*.so*"};

constexpr Way kWays[] = {{"no library", true},  // libLLVM itself is preloaded
                         {"off", true, "DUENDE_MLOCK_FORK=off"},
                         {"lazy", true, "DUENDE_MLOCK_FORK=lazy"}};

[[nodiscard]] std::string large_library() {
  std::string path;
  for (const char* const pattern : kPatterns) {
    glob_t found = {};
    if (path.empty() && ::glob(pattern, 0, nullptr, &found) == 0) {
      path = found.gl_pathv[found.gl_pathc - 1];
    }
    ::globfree(&found);
  }
  return path;
}

/// The measured process: fork, exit and wait, in us, and what is resident of the parent, in MiB.
int measure(const std::string& path) {
  must(path.empty() || ::dlopen(path.c_str(), RTLD_NOW) != nullptr, "dlopen");
  Samples samples;
  for (int i = 0; i < kForks; ++i) {
    samples.add(time_of([] {
      const pid_t child = ::fork();
      if (child == 0) {
        ::_exit(0);
      }
      int status = 0;
      must(child > 0 && ::waitpid(child, &status, 0) == child && status == 0, "fork");
    }));
  }
  std::printf("%f %f\n", samples.minimum(), own_mebibytes("status", "VmRSS:"));
  return 0;
}

void compare(const char* title, const std::string& library, const std::string& linked,
             const std::string& loaded) {
  Samples times[std::size(kWays)];
  double resident[std::size(kWays)] = {};
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < std::size(kWays); ++i) {
      const std::string preloaded = i == 0 ? linked : library + ':' + linked;
      const auto numbers = numbers_of(kWays[i], preloaded, "--measure=" + loaded);
      times[i].add(Microseconds(numbers[0]));
      resident[i] = numbers[1];
    }
  }
  for (std::size_t i = 0; i < std::size(kWays); ++i) {
    std::printf("%-16s %-12s %9.0f %8.2f %14.1f\n", i == 0 ? title : "", kWays[i].name,
                times[i].minimum(), times[i].minimum() / times[1].minimum(), resident[i]);
  }
}

}  // namespace

/// code LIBRARY
int main(int argc, char** argv) {
  must(argc == 2, "usage: code LIBRARY");
  const std::string argument = argv[1];
  if (argument.starts_with("--measure=")) {
    return measure(argument.substr(argument.find('=') + 1));
  }
  const std::string path = large_library();
  if (path.empty()) {
    std::printf("skipped: libLLVM is not installed\n");
    return 77;
  }
  std::printf("fork, exit and wait with %s: minimum of %d rounds of %d\n", path.c_str(), kRounds,
              kForks);
  std::printf("%-16s %-12s %9s %8s %14s\n", "", "FORK", "us", "of off", "resident, MiB");
  compare("linked", argument, path, "");
  compare("loaded by name", argument, "", path);
  return 0;
}
