// SPDX-License-Identifier: MIT OR Apache-2.0
// The shim's seam to the kernel: the header API's, and what only the shim asks.
#pragma once

#include <sys/auxv.h>
#include <sys/resource.h>
#include <cstddef>
#include <cstdint>

#include <duende/mlock/detail/kernel.hpp>

namespace duende::mlock::preload {

/// What was asked may not be found out, and then counts neither way.
enum class Answer : unsigned char { no, yes, unknown };

/// sched_getscheduler(2) and sched_getparam(2).
struct Scheduling {
  int policy = 0;
  int priority = 0;
};

using VisitSegment = void(void* context, std::uintptr_t begin, std::size_t size,
                          bool writable) noexcept;

/// As in detail::Kernel: an `int` answer is 0 or an errno, `errno` changes, and every call is
/// async-signal-safe, unless said otherwise. Tests link other definitions (tests/unit/fake_kernel).
struct Kernel : detail::Kernel {
  int munlock(std::uintptr_t begin, std::size_t size) const noexcept;
  /// mlock2(2) on fault (Linux 4.4; ENOSYS before), or mlock(2), which populates.
  int lock(std::uintptr_t begin, std::size_t size, bool onfault) const noexcept;
  /// madvise(2), past the one that this library stands in front of.
  int advise(std::uintptr_t begin, std::size_t size, int advice) const noexcept;
  /// Reads the pages in and maps them: MADV_POPULATE_READ (Linux 5.14; EINVAL before).
  int populate_read(std::uintptr_t begin, std::size_t size) const noexcept;
  /// 0, ENOMEM where nothing is mapped, or why that cannot be told.
  int ask_mapped(std::uintptr_t page) const noexcept;
  /// Faults a page in as a read does, but where it cannot be read that is false and no signal.
  bool touch(std::uintptr_t page) const noexcept;
  /// An address in the first, uppermost page of the main stack or close to it.
  std::uintptr_t top_of_stack() const noexcept;
  /// Bytes read at an offset, 0 at the end and after an error.
  std::size_t read_at(int file, void* buffer, std::size_t size, std::uint64_t at) const noexcept;
  /// Whether what is mapped of a file goes to swap: tmpfs, memfd, shared memory.
  Answer swappable(int file) const noexcept;
  Answer swappable_path(const char* path) const noexcept;
  /// As files.hpp has seen.
  bool data_files_mapped() const noexcept;
  /// Whether MCL_FUTURE has an effect, by what advice a new mapping refuses.
  Answer locks_new_mappings() const noexcept;
  /// How many objects have been loaded so far, also those that are gone.
  unsigned long long load_count() const noexcept;
  /// Calls `visit` with the segments of each loaded object, in the order of loading; code and
  /// constants that touch are one. Takes a lock of the C library's: not in a child of fork(2).
  void visit_code(VisitSegment* visit, void* context) const noexcept;
  /// Bytes of memory that the machine has; 0 where that is not known.
  std::size_t total_memory() const noexcept;
  int get_memlock_limit(rlimit& limit) const noexcept;
  int set_memlock_limit(const rlimit& limit) const noexcept;
  /// Whether the kernel lets this process lock more than `limit` bytes.
  Answer may_lock_beyond(rlim_t limit) const noexcept;
  /// PR_SET_IO_FLUSHER (Linux 5.6; EINVAL before).
  int set_io_flusher(bool on) const noexcept;
  /// Of any thread, 0 being this one.
  int set_scheduling(long thread, Scheduling wanted) const noexcept;
  Scheduling scheduling(long thread) const noexcept;
};

/// mlockall(2) and munlockall(2) of libc, but not where a filter kills for them.
int mlockall_with_care(int flags) noexcept;
int munlockall_with_care() noexcept;

inline constexpr Kernel kSystemKernel = [] {
  Kernel kernel = {detail::kSystemKernel};
  kernel.mlockall = mlockall_with_care;
  kernel.munlockall = munlockall_with_care;
  return kernel;
}();

/// Bytes; a power of two.
[[nodiscard]] inline std::size_t page_size() noexcept { return ::getauxval(AT_PAGESZ); }

}  // namespace duende::mlock::preload
