// SPDX-License-Identifier: MIT OR Apache-2.0
#include "copy.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <ctime>

#include "files.hpp"
#include "filter.hpp"

namespace duende::mlock::store {

namespace {

// By libc's names, and so through the wrappers: either end may be a store or none, and one that is
// waited for, a socket or a pipe, is so with signals and cancellation as ever.
ssize_t take(const End& from, off_t done, char* bytes, std::size_t size) {
  return from.offset != nullptr ? ::pread(from.descriptor, bytes, size, *from.offset + done)
                                : ::read(from.descriptor, bytes, size);
}

ssize_t give(const End& to, off_t done, const char* bytes, std::size_t size) {
  return to.offset != nullptr ? ::pwrite(to.descriptor, bytes, size, *to.offset + done)
                              : ::write(to.descriptor, bytes, size);
}

/// All of it, unless an error, or an end that takes no more, comes in between.
std::size_t give_all(const End& to, off_t done, const char* bytes, std::size_t size) {
  std::size_t given = 0;
  while (given < size) {
    const ssize_t part = give(to, done + static_cast<off_t>(given), bytes + given, size - given);
    if (part <= 0) {
      break;
    }
    given += static_cast<std::size_t>(part);
  }
  return given;
}

}  // namespace

ssize_t copy(End from, End to, std::size_t size) {
  constexpr std::size_t kAtOnce = std::size_t{16} << 10;
  char bytes[kAtOnce];
  // What is no file may have no more for now: it is asked once.
  const bool stream = store_of(from.descriptor) == nullptr;
  ssize_t done = 0;
  bool failed = false;
  while (static_cast<std::size_t>(done) < size) {
    const std::size_t wanted = std::min(size - static_cast<std::size_t>(done), kAtOnce);
    const ssize_t taken = take(from, done, bytes, wanted);
    failed = taken < 0;
    if (taken <= 0) {
      break;
    }
    const auto given =
        static_cast<ssize_t>(give_all(to, done, bytes, static_cast<std::size_t>(taken)));
    done += given;
    failed = given < taken;
    if (failed && from.offset == nullptr) {
      const int error = errno;
      (void)::lseek(from.descriptor, given - taken, SEEK_CUR);
      errno = error;
    }
    if (failed || stream || static_cast<std::size_t>(taken) < wanted) {
      break;
    }
  }
  for (const End& end : {from, to}) {
    if (end.offset != nullptr) {
      *end.offset += done;
    }
  }
  return failed && done == 0 ? -1 : done;
}

bool is_ready(int from, int to) noexcept {
  pollfd ends[] = {{from, POLLIN, 0}, {to, POLLOUT, 0}};
  const timespec at_once = {};
  if (preload::system_call(SYS_ppoll, ends, 2, &at_once, nullptr, 8L) != 2) {
    errno = EAGAIN;
    return false;
  }
  return true;
}

}  // namespace duende::mlock::store
