// SPDX-License-Identifier: MIT OR Apache-2.0
// The shim's seam to the kernel: the header API's, and what only the shim asks.
#pragma once

#include <sys/resource.h>
#include <cstddef>
#include <cstdint>

#include <duende/mlock/detail/kernel.hpp>

namespace duende::mlock::preload {

/// sched_getscheduler(2) and sched_getparam(2).
struct Scheduling {
  int policy = 0;
  int priority = 0;
};

/// As in detail::Kernel: an `int` answer is 0 or an errno, `errno` changes, and every call is
/// async-signal-safe.
struct Kernel : detail::Kernel {
  int (*munlock)(std::uintptr_t begin, std::size_t size) noexcept;
  /// Reads the pages in and maps them: MADV_POPULATE_READ (Linux 5.14; EINVAL before).
  int (*populate_read)(std::uintptr_t begin, std::size_t size) noexcept;
  /// Makes a page a mapping of its own, which no neighbour is merged with.
  int (*set_apart)(std::uintptr_t page) noexcept;
  bool (*is_mapped)(std::uintptr_t page) noexcept;
  /// Extends the main stack to its limit, so that none of it is left to grow.
  bool (*extend_stack)() noexcept;
  int (*get_memlock_limit)(rlimit& limit) noexcept;
  int (*set_memlock_limit)(const rlimit& limit) noexcept;
  /// Whether the kernel lets this process lock more than `limit` bytes.
  bool (*may_lock_beyond)(rlim_t limit) noexcept;
  /// PR_SET_IO_FLUSHER (Linux 5.6; EINVAL before).
  int (*set_io_flusher)(bool on) noexcept;
  /// Of any thread, 0 being this one.
  int (*set_scheduling)(long thread, Scheduling wanted) noexcept;
  Scheduling (*scheduling)(long thread) noexcept;
};

extern const Kernel kSystemKernel;

/// Bytes; a power of two.
[[nodiscard]] std::size_t page_size() noexcept;

}  // namespace duende::mlock::preload
