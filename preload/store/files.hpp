// SPDX-License-Identifier: MIT OR Apache-2.0
// The files that DUENDE_MLOCK_STORE names, and the descriptors that lead to them.
#pragma once

#include <sys/types.h>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "monitor.hpp"

namespace duende::mlock::store {

/// A name, and all that was opened by it. Two names of one file are the first.
struct File {
  const char* path = nullptr;
  unsigned number = 0;
  /// What offsets and sizes are to be multiples of, and where that is less, memory as well: a
  /// power of two, the largest of all that was opened by this name.
  std::size_t block = 0;
  bool regular = false;  // may end within a block
  bool told = false;
  bool stood_back = false;  // for good: a page that is mapped may be written back at any time
  Monitor position;         // of the descriptors: read(2), write(2) and lseek(2) come one by one
};

inline constexpr unsigned kMaxFiles = 16;
inline constexpr int kMaxDescriptors = 65536;

/// Once, before main; false when there are too many of them, or no memory.
[[nodiscard]] bool name_files(std::string_view paths, bool required) noexcept;

/// A byte for each descriptor, or null without a store: 0, or the number of a file and `kAsked`.
extern std::atomic<std::uint8_t>* g_descriptors;
inline constexpr std::uint8_t kAsked = 0x80;  // the daemon itself asked for O_DIRECT

[[nodiscard]] File& file_of(std::uint8_t entry) noexcept;

[[nodiscard]] inline std::uint8_t entry_of(int descriptor) noexcept {
  return g_descriptors != nullptr && descriptor >= 0 && descriptor < kMaxDescriptors
             ? g_descriptors[descriptor].load(std::memory_order_relaxed)
             : 0;
}

/// The store behind a descriptor, as far as was seen; or null. The kernel's flags have the last
/// word.
[[nodiscard]] inline File* store_of(int descriptor) noexcept {
  const std::uint8_t entry = entry_of(descriptor);
  return entry == 0 ? nullptr : &file_of(entry);
}

/// Something was opened: O_DIRECT from here on, if it is a store. `flags` are open(2)'s.
void adopt(int descriptor, int flags) noexcept;
/// What came another way (a parent, a socket, a raw system call), and was refused for want of
/// alignment; whether it is a store, and the call worth another try.
[[nodiscard]] bool adopt_late(int descriptor) noexcept;
/// What was there before main.
void adopt_inherited() noexcept;

void forget(int descriptor) noexcept;
/// `copy` is a duplicate of `original`.
void duplicate(int original, int copy) noexcept;

/// The daemon is about to do something that only the page cache can serve: an end to O_DIRECT on
/// these descriptors, and `why`. Under REQUIRED an end to the daemon.
void stand_back(int descriptor, std::string_view why) noexcept;
void stand_back(File& file, std::string_view why) noexcept;

/// In a child of fork(2), where buffers are locked once more.
void forget_files() noexcept;

}  // namespace duende::mlock::store
