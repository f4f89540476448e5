// SPDX-License-Identifier: MIT OR Apache-2.0
// FakeKernel: a kernel whose answers a test scripts, and which remembers what it was asked.
#pragma once

#include <cerrno>
#include <climits>
#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "preload/capability.hpp"
#include "preload/kernel.hpp"

namespace duende::mlock::test {

struct FakeFile {
  std::string contents;
  std::size_t chunk = SIZE_MAX;           // what one read gives at most
  std::size_t vanishes_after = SIZE_MAX;  // bytes; then every read fails
};

/// The answers of the header API's table of function pointers, and of all that the shim asks, for
/// which this is the only definition in the test binary: preload::Kernel, the capabilities, and
/// faccessat(2), sysconf(3), and what a filter answers.
/// One lives at a time; a deque of errnos is answered in order, and then 0 for ever.
class FakeKernel {
 public:
  FakeKernel() noexcept;
  /// Checks that every file was closed.
  ~FakeKernel();
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  [[nodiscard]] operator const preload::Kernel&() const noexcept;
  /// Whether one lives; without, the doubles answer as if nothing existed.
  [[nodiscard]] static FakeKernel* current() noexcept;

  std::deque<int> mlockall_errors;
  std::deque<int> populate_errors;
  std::deque<int> set_limit_errors;
  int munlockall_error = 0;
  int munlock_error = 0;
  int get_limit_error = 0;
  rlimit memlock = {.rlim_cur = 8U << 20U, .rlim_max = 8U << 20U};
  preload::Answer exempt = preload::Answer::no;
  std::set<std::uintptr_t> mapped;  // pages
  int ask_mapped_error = 0;
  bool all_mapped = false;
  std::uintptr_t top_of_stack = 0x9000;
  std::set<std::uintptr_t> unreadable;  // pages
  std::set<int> unknown_advice;
  std::deque<int> advise_errors;
  bool locked = false;                                                  // MADV_COLD is refused
  std::map<std::string, preload::Answer, std::less<>> swappable_paths;  // others: unknown
  bool data_files_mapped = false;
  preload::Answer locks_new_mappings = preload::Answer::yes;
  std::vector<std::pair<std::uintptr_t, std::size_t>> code;  // segments of loaded objects
  std::set<std::uintptr_t> writable_code;                    // by where they begin
  std::size_t total_memory = std::size_t{4} << 30U;
  long least_thread_stack = 16384;  // sysconf(_SC_THREAD_STACK_MIN)
  std::deque<int> io_flusher_errors;
  std::deque<int> scheduling_errors;
  preload::Scheduling scheduling;
  bool ignores_scheduling = false;  // answers 0 and changes nothing
  std::map<preload::Capability, preload::CapabilityState> capabilities;
  std::map<std::string, FakeFile, std::less<>> files;
  int open_error = ENOENT;  // of a file that is not there
  /// What a seccomp filter answers to a call by its number; with the flag, only to real-time
  /// policies.
  std::map<long, int> filter_answers;
  bool lets_other_policies_through = false;

  /// Every call that changes something, or asks about the limit, in the order made.
  std::vector<std::string> calls;

  /// /proc/self/status with these figures.
  void set_memory_use(std::size_t size_kib, std::size_t locked_kib, std::size_t swapped_kib = 0);
  /// What one open file has been read of.
  struct OpenFile {
    const FakeFile* file;
    std::size_t position = 0;
  };
  std::map<int, OpenFile> open_files;

 private:
  preload::Kernel table_{};
};

/// `mlockall(CURRENT|FUTURE)`, as it stands in FakeKernel::calls.
[[nodiscard]] std::string mlockall_call(int flags);

}  // namespace duende::mlock::test
