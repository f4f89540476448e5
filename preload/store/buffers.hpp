// SPDX-License-Identifier: MIT OR Apache-2.0
// The aligned, locked memory that data crosses between a daemon's buffers and its store.
#pragma once

#include <cstddef>

namespace duende::mlock::store {

/// A buffer for the scope; waits for one. An NBD client of the kernel asks for 128 KiB at most.
class Buffer {
 public:
  static constexpr std::size_t kSize = std::size_t{256} << 10;

  Buffer() noexcept;
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] char* bytes() const noexcept { return bytes_; }

 private:
  unsigned number_;
  char* bytes_;
};

inline constexpr unsigned kBuffers = 16;

/// All of them, before any is used, so that nothing is allocated while serving. False, and
/// `errno`, when there is no such memory.
[[nodiscard]] bool make_buffers() noexcept;

/// Against being swapped out: 0 or an errno. Once more in a child of fork(2), which inherits no
/// lock.
[[nodiscard]] int lock_buffers() noexcept;

/// In a child of fork(2), where whoever used one is not.
void forget_buffers() noexcept;

}  // namespace duende::mlock::store
