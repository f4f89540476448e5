// SPDX-License-Identifier: MIT OR Apache-2.0
// The seam to the kernel: every call the header API makes, so that tests can script the answers.
#pragma once

#include <cerrno>
#include <cstddef>

#if defined(__linux__) || defined(__APPLE__)
#define DUENDE_MLOCK_HAS_MLOCKALL 1
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#else
#define DUENDE_MLOCK_HAS_MLOCKALL 0
#endif

namespace duende::mlock::detail {

#if DUENDE_MLOCK_HAS_MLOCKALL
inline constexpr int kMclCurrent = MCL_CURRENT;
inline constexpr int kMclFuture = MCL_FUTURE;
#else
inline constexpr int kMclCurrent = 1;
inline constexpr int kMclFuture = 2;
#endif
#if defined(MCL_ONFAULT)
inline constexpr int kMclOnfault = MCL_ONFAULT;
#elif defined(__linux__)
inline constexpr int kMclOnfault = 4;  // Linux 4.4; libc headers older than that lack the name
#else
inline constexpr int kMclOnfault = 0;
#endif

/// Calls whose `int` answer is 0 or an errno, unless said otherwise. They change `errno`: whoever
/// calls in from outside holds an ErrnoGuard. All are async-signal-safe.
struct Kernel {
  int (*mlockall)(int flags) noexcept;
  int (*munlockall)() noexcept;
  /// A descriptor to read from, or -1.
  int (*open_file)(const char* path) noexcept;
  /// The number of bytes read, 0 at the end and after an error.
  std::size_t (*read_file)(int file, char* buffer, std::size_t size) noexcept;
  void (*close_file)(int file) noexcept;
};

/// Puts `errno` back on the way out.
class ErrnoGuard {
 public:
  ErrnoGuard() noexcept : saved_(errno) {}
  ~ErrnoGuard() { errno = saved_; }
  ErrnoGuard(const ErrnoGuard&) = delete;
  ErrnoGuard& operator=(const ErrnoGuard&) = delete;

 private:
  int saved_;
};

#if DUENDE_MLOCK_HAS_MLOCKALL
// On Linux by number: open(2), read(2) and close(2) of libc are cancellation points, which would
// make a function that only asks end a thread, and a fork handler end the child.
#if defined(__linux__)
[[nodiscard]] inline int open_for_reading(const char* path) noexcept {
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
}
[[nodiscard]] inline long read_some(int file, char* buffer, std::size_t size) noexcept {
  return ::syscall(SYS_read, file, buffer, size);
}
inline void close_descriptor(int file) noexcept { ::syscall(SYS_close, file); }
#else
[[nodiscard]] inline int open_for_reading(const char* path) noexcept {
  return ::open(path, O_RDONLY | O_CLOEXEC);
}
[[nodiscard]] inline long read_some(int file, char* buffer, std::size_t size) noexcept {
  return ::read(file, buffer, size);
}
inline void close_descriptor(int file) noexcept { ::close(file); }
#endif

inline constexpr Kernel kSystemKernel = {
    .mlockall = [](int flags) noexcept -> int { return ::mlockall(flags) == 0 ? 0 : errno; },
    .munlockall = []() noexcept -> int { return ::munlockall() == 0 ? 0 : errno; },
    .open_file = [](const char* path) noexcept -> int { return open_for_reading(path); },
    .read_file = [](int file, char* buffer, std::size_t size) noexcept -> std::size_t {
      for (;;) {
        const long count = read_some(file, buffer, size);
        if (count >= 0) {
          return static_cast<std::size_t>(count);
        }
        if (errno != EINTR) {
          return 0;
        }
      }
    },
    .close_file = [](int file) noexcept -> void { close_descriptor(file); },
};
#endif

}  // namespace duende::mlock::detail
