// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads and writes of a store, as read(2) and write(2) promise them: any offset, any size, any
// memory, over a descriptor that takes whole blocks only.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>
#include <optional>

#include "files.hpp"
#include "kernel.hpp"

namespace duende::mlock::store {

struct Request {
  int descriptor;
  const iovec* vectors;
  int count;
  off_t offset;  // -1: where the descriptor is
  int flags;     // of preadv2(2)
};

/// What the system call would have answered, or -1 and `errno`. Nothing when the kernel says
/// that the descriptor is none of a store, or not any more: then the C library's function is what
/// is wanted.
[[nodiscard]] std::optional<ssize_t> transfer(File& file, Direction direction,
                                              const Request& request) noexcept;

}  // namespace duende::mlock::store
