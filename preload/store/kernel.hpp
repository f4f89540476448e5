// SPDX-License-Identifier: MIT OR Apache-2.0
// The system calls that the store is reached by. By number: libc's are cancellation points, and
// among the functions that this library stands in front of. Where a filter kills for one that an
// adoption needs, there is none, and the descriptor is the daemon's own affair.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cstdint>

#include "filter.hpp"

namespace duende::mlock::store {

static_assert(sizeof(long) == 8, "offsets are passed in one register");

inline int status_flags(int descriptor) noexcept {
  return static_cast<int>(preload::system_call(SYS_fcntl, descriptor, F_GETFL, 0L));
}

inline bool set_status_flags(int descriptor, int flags) noexcept {
  return preload::system_call(SYS_fcntl, descriptor, F_SETFL, static_cast<long>(flags)) == 0;
}

inline off_t seek(int descriptor, off_t offset, int whence) noexcept {
  return preload::system_call(SYS_lseek, descriptor, offset, whence);
}

/// -1 and `errno`, also for what fstat(2) knows nothing of.
inline off_t file_size(int descriptor) noexcept {
  struct stat status;
  return preload::system_call(SYS_fstat, descriptor, &status) == 0 ? status.st_size : -1;
}

enum class Direction : std::uint8_t { in, out };

/// `flags` are those of preadv2(2), which is Linux 4.6. The plainest call that will do: a filter
/// may know no other.
inline ssize_t move(Direction direction, int descriptor, const iovec* vectors, int count,
                    off_t offset, int flags) noexcept {
  const bool in = direction == Direction::in;
  if (flags != 0) {
    return preload::system_call(in ? SYS_preadv2 : SYS_pwritev2, descriptor, vectors, count, offset,
                                0L, flags);
  }
  if (count != 1) {
    return preload::system_call(in ? SYS_preadv : SYS_pwritev, descriptor, vectors, count, offset,
                                0L);
  }
  return preload::system_call(in ? SYS_pread64 : SYS_pwrite64, descriptor, vectors->iov_base,
                              vectors->iov_len, offset);
}

}  // namespace duende::mlock::store
