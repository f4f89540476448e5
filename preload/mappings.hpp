// SPDX-License-Identifier: MIT OR Apache-2.0
// What /proc/self/maps tells of each mapping, and what the policy makes of it.
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
  unsigned device_major = 0;  // 0: of no block device: tmpfs, but also btrfs, overlay, NFS
  unsigned device_minor = 0;
  std::uint64_t inode = 0;  // 0: no file
  std::string_view path;    // into the line, with which it ends

  [[nodiscard]] constexpr std::size_t size() const noexcept { return end - begin; }
  [[nodiscard]] constexpr bool same_file(const Mapping& other) const noexcept {
    return inode != 0 && inode == other.inode && device_major == other.device_major &&
           device_minor == other.device_minor;
  }
};

[[nodiscard]] std::optional<Mapping> parse_mapping(std::string_view line) noexcept;

/// Unlocks what is a file mapped as data: it never goes to swap and comes back from its own file,
/// but locked it could not be evicted, and a daemon that maps its database would outgrow its
/// memory. That is a mapping of a real file that has no executable mapping beside it (program,
/// library), except private writable ones, whose changed pages are anonymous. What cannot be found
/// out stays locked. With `populate`, everything else is populated. Reads /proc/self/maps; false
/// without it.
bool leave_data_files(const Kernel& kernel, bool populate) noexcept;

/// Reads in what was swapped out before it was locked: an on-fault lock leaves it there until it is
/// touched, which for a daemon that serves swap may be too late. False when some of it is left
/// there, or cannot be told. Reads /proc/self/smaps and pagemap.
[[nodiscard]] bool bring_back_swapped(const Kernel& kernel) noexcept;

}  // namespace duende::mlock::preload
