// SPDX-License-Identifier: MIT OR Apache-2.0
// A process as /proc shows it: proc_pid_status(5), proc_pid_smaps(5) and their neighbours.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>

#include "text.hpp"

namespace duende::mlock::command {

/// Of /proc/PID/status. Sizes are in bytes; what is not known is empty.
struct ProcessStatus {
  std::string name;
  char state = '?';
  pid_t parent = 0;
  std::optional<std::uint64_t> size;      // VmSize: a kernel thread and a zombie have none
  std::optional<std::uint64_t> charged;   // VmLck
  std::optional<std::uint64_t> resident;  // VmRSS
  std::optional<std::uint64_t> swapped;   // VmSwap
  std::uint64_t effective = 0;            // capabilities, by their numbers
  std::uint64_t bounding = 0;
  int seccomp = 0;
  pid_t tracer = 0;
};
[[nodiscard]] ProcessStatus parse_status(std::string_view text);
/// Nothing if there is no such process.
[[nodiscard]] std::optional<ProcessStatus> read_status(pid_t pid);

/// Of /proc/PID/smaps: what the lock makes of the mappings.
struct Mappings {
  unsigned locked = 0;
  unsigned on_fault = 0;        // of these
  unsigned open = 0;            // that could be swapped, and are not locked
  std::uint64_t open_size = 0;  // how much of those is resident, in bytes
  unsigned evictable = 0;       // not locked either, but of a file, from which they come back
  std::uint64_t evictable_size = 0;
  bool library = false;  // one of them is the library's

  [[nodiscard]] bool known() const noexcept { return locked + open + evictable != 0; }
};
/// Whether what is mapped of a file without a block device (overlay, btrfs, tmpfs) is never
/// swapped.
using NeverSwapped = std::function<bool(std::string_view path)>;
[[nodiscard]] Mappings parse_smaps(std::string_view text, const NeverSwapped& never_swapped);
/// Where /proc/PID/maps has the beginning of the library.
struct LibraryMapping {
  std::uint64_t begin = 0;
  std::string path;  // as it was when it was mapped
};
[[nodiscard]] std::optional<LibraryMapping> library_mapping(std::string_view maps);
[[nodiscard]] inline bool maps_library(std::string_view maps) {
  return library_mapping(maps).has_value();
}

/// Soft and hard RLIMIT_MEMLOCK in bytes; empty: unlimited.
struct Limits {
  std::optional<std::uint64_t> soft;
  std::optional<std::uint64_t> hard;
};
[[nodiscard]] std::optional<Limits> read_limits(pid_t pid);

/// Of all threads.
struct Threads {
  unsigned count = 0;
  unsigned flushers = 0;  // IO flushers
  unsigned realtime = 0;  // the lowest priority
};
[[nodiscard]] Threads read_threads(pid_t pid);

/// The variables that it was started with; nothing if they cannot be read.
[[nodiscard]] std::optional<Words> read_environment(pid_t pid);
/// The value of a variable.
[[nodiscard]] std::optional<std::string_view> find_variable(const Words& variables,
                                                            std::string_view name);

/// All processes there are, with what their status says.
using Processes = std::map<pid_t, ProcessStatus>;
[[nodiscard]] Processes all_processes();
/// Who is whose child, of all of them.
using Offspring = std::multimap<pid_t, pid_t>;
[[nodiscard]] Offspring offspring_of(const Processes& processes);
/// Generation after generation, the process itself not among them.
[[nodiscard]] std::vector<pid_t> descendants_of(pid_t pid, const Offspring& offspring);

/// /proc/PID/NAME
[[nodiscard]] std::string in_proc(pid_t pid, std::string_view name);

}  // namespace duende::mlock::command
