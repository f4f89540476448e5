// SPDX-License-Identifier: MIT OR Apache-2.0
// Code and constants of the program and its libraries, made resident: what is dropped under
// pressure and read back may come from a file system that is stuck.
#pragma once

#include "cgroup.hpp"

namespace duende::mlock::preload {

/// The most that is read in for one process, 64 MiB: nearly every daemon is below it, and to read a
/// browser's or a compiler's hundreds would be felt at every start.
inline constexpr std::size_t kCodeBudget = std::size_t{64} << 20;

/// And for a child that only may outlive its parent: 16 MiB, of which a daemon that forks without a
/// word (nbdkit) needs ten, and which takes a child no more than 2 ms.
inline constexpr std::size_t kChildBudget = std::size_t{16} << 20;

/// How much of the code that is met, one segment after the other, is resident: so much of the first
/// as the above allow, and a quarter of what the machine has and the control groups allow. The rest
/// comes as it runs, and is locked then; where all that would be more than half of what they allow,
/// it is left evictable, for a compiler that fills its group with code it cannot drop is killed.
class CodeBudget {
 public:
  /// Bytes; so much is read in without a look at the limits, which would take longer than that.
  static constexpr std::size_t kFree = std::size_t{4} << 20;

  struct Share {
    std::size_t resident;
    std::size_t evictable;  // behind that
  };
  /// `groups`: /proc/PID/cgroup, read where there is much code only.
  Share share_of(std::size_t size, const Kernel& kernel, const char* groups = kOwnGroups) noexcept;

  /// To be called before: all code stays locked, however much it is.
  void lock_whole() noexcept { lockable_ = SIZE_MAX; }

 private:
  std::size_t resident_ = 0;  // bytes so far
  std::size_t seen_ = 0;      // and what is locked besides
  std::size_t most_ = 0;      // of the former; 0: these two are not looked up yet
  std::size_t lockable_ = 0;
};

class ResidentCode {
 public:
  /// Reads in what has been loaded since the last time, as far as the budget goes, and unlocks what
  /// is left evictable. Linux 5.14 reads in; before, all of it comes as it runs. Takes a lock of
  /// the C library's: not in a child of fork(2).
  void read_in(const Kernel& kernel) noexcept;

  /// As of CodeBudget.
  void lock_whole() noexcept { budget_.lock_whole(); }

  /// What was read in so far, once more, up to so many bytes, in a child of fork(2), whose page
  /// tables are without it: while the parent lives, its lock keeps the pages, and the child need
  /// not. Async-signal-safe.
  void read_in_again(const Kernel& kernel, std::size_t most = kCodeBudget) const noexcept;

  /// Unlocks once more what read_in() has left evictable, after a call that locks everything.
  /// Async-signal-safe.
  void leave_rest(const Kernel& kernel) const noexcept;

  /// `read_in`, if that was ever done and something was loaded since, which is locked as well, with
  /// its data.
  void look_for_more(const Kernel& kernel) noexcept;

 private:
  struct Range {
    std::uintptr_t begin;
    // KiB: what is resident, and what behind that is left evictable.
    std::uint32_t resident;
    std::uint32_t evictable;
    void leave_rest(const Kernel& kernel) const noexcept;
  };
  struct Walk;
  static void add(void* walk, std::uintptr_t begin, std::size_t size, bool writable) noexcept;

  Range ranges_[128] = {};  // of more segments than these, the last come as they run in a child
  std::size_t count_ = 0;
  CodeBudget budget_;
  unsigned long long loads_ = 0;  // objects loaded before the last walk; 0: none was made
  // A word: riscv64 exchanges nothing smaller. musl lets two threads walk at once.
  unsigned busy_ = 0;
};

/// This process's.
[[nodiscard]] ResidentCode& resident_code() noexcept;

}  // namespace duende::mlock::preload
