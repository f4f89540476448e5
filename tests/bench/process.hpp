// SPDX-License-Identifier: MIT OR Apache-2.0
// A measured process of its own, with the library in it or not, and what /proc says of one.
#pragma once

#include <unistd.h>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"

namespace duende::mlock::bench {

/// How a measured process is run. `variables` are further DUENDE_MLOCK_* assignments.
struct Way {
  const char* name;
  bool preloaded = false;
  const char* variables = "";
};

[[nodiscard]] inline std::string own_path() {
  char path[4096] = {};
  must(::readlink("/proc/self/exe", path, sizeof path - 1) > 0, "/proc/self/exe");
  return path;
}

/// Runs this program again with `arguments`, in that way; the numbers that it prints.
[[nodiscard]] inline std::vector<double> numbers_of(const Way& way, const std::string& library,
                                                    const std::string& arguments) {
  std::string command = "exec env -u LD_PRELOAD ";
  if (way.preloaded) {
    command += "LD_PRELOAD='" + library + "' DUENDE_MLOCK_LOG=error " + way.variables;
  }
  command += " '" + own_path() + "' " + arguments;
  std::FILE* const output = ::popen(command.c_str(), "re");
  must(output != nullptr, "popen");
  std::vector<double> numbers;
  double number = 0;
  while (std::fscanf(output, "%lf", &number) == 1) {
    numbers.push_back(number);
  }
  must(::pclose(output) == 0 && !numbers.empty(), way.name);
  return numbers;
}

/// The number behind `key` (`VmLck:`) in a file of /proc such as status or smaps_rollup, or -1.
[[nodiscard]] inline double number_in(const std::string& path, std::string_view key) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  must(file != nullptr, path.c_str());
  char line[512];
  double number = -1;
  while (number < 0 && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::string_view(line).starts_with(key)) {
      number = std::atof(line + key.size());
    }
  }
  std::fclose(file);
  return number;
}

/// The same, of this process, from KiB to MiB.
[[nodiscard]] inline double own_mebibytes(const char* file, std::string_view key) {
  return number_in(std::string("/proc/self/") + file, key) / 1024;
}

constexpr std::size_t kMebibyte = 1024 * 1024;

/// Whether that much memory is to be had without a thought to what else runs here.
[[nodiscard]] inline bool affordable(double mebibytes) {
  return mebibytes < number_in("/proc/meminfo", "MemAvailable:") / 1024 / 2;
}

}  // namespace duende::mlock::bench
