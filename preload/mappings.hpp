// SPDX-License-Identifier: MIT OR Apache-2.0
// What /proc/self/maps tells: where code is, to be made resident, and where the stack ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel.hpp"

namespace duende::mlock::preload {

/// One line of /proc/self/maps: proc_pid_maps(5).
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // 0: no file
  bool main_stack = false;

  [[nodiscard]] constexpr bool same_file(const Mapping& other) const noexcept {
    return inode != 0 && inode == other.inode && device == other.device;
  }
};

[[nodiscard]] std::optional<Mapping> parse_mapping(std::string_view line) noexcept;

/// Reads in the non-writable private mappings of every file that has an executable mapping: the
/// code and constants of program and libraries, and no data file, however it is mapped. Needs
/// Linux 5.14; before, and without /proc, pages come as they are touched.
void make_code_resident(const Kernel& kernel) noexcept;

/// Reads in what was swapped out before it was locked: an on-fault lock leaves it there until it is
/// touched, which for a daemon that serves swap may be too late. Needs Linux 5.14.
void bring_back_swapped(const Kernel& kernel) noexcept;

/// The main stack, which the kernel extends downwards from its lowest page.
class GrowingStack {
 public:
  /// Unlocks the lowest page, so that what grows from there is not charged to RLIMIT_MEMLOCK.
  /// False when the stack cannot be found or unlocked. Reads /proc the first time only; from the
  /// second time on the page stays a mapping of its own, as splitting it off and merging it back
  /// would cost more than the lock.
  [[nodiscard]] bool release(const Kernel& kernel) noexcept;
  /// Extends it to its limit once for all: what cannot grow needs no release, which costs as much
  /// as the lock itself.
  void extend(const Kernel& kernel) noexcept { extended_ = kernel.extend_stack(); }

 private:
  std::uintptr_t lowest_page_ = 0;
  bool set_apart_ = false;
  bool extended_ = false;
};

}  // namespace duende::mlock::preload
