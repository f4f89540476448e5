// SPDX-License-Identifier: MIT OR Apache-2.0
#include "advice.hpp"

#include <sys/mman.h>

namespace duende::mlock::preload {

namespace {

// Newer than glibc 2.17's headers.
constexpr int kMadvFree = 8;             // Linux 4.5
constexpr int kMadvCold = 20;            // Linux 5.4
constexpr int kMadvPageout = 21;         // Linux 5.4
constexpr int kMadvDontneedLocked = 24;  // Linux 5.18

constinit bool g_despite_locks = false;

/// No length asks whether the kernel knows the advice.
bool known(const Kernel& kernel, std::uintptr_t begin, int advice) noexcept {
  return kernel.advise(begin, 0, advice) == 0;
}

/// Some of it, by advice that only a lock refuses and that does nothing else of note. Before Linux
/// 5.4 it is taken to be.
bool locked(const Kernel& kernel, std::uintptr_t begin, std::size_t size) noexcept {
  return !known(kernel, begin, kMadvCold) || kernel.advise(begin, size, kMadvCold) == EINVAL;
}

/// Nothing can be lost to swap in between: what is unlocked is given up.
int advise_unlocked(const Kernel& kernel, std::uintptr_t begin, std::size_t size,
                    int advice) noexcept {
  const bool again = locked(kernel, begin, size);
  if (again) {
    (void)kernel.munlock(begin, size);
  }
  const int error = kernel.advise(begin, size, advice);
  if (again) {
    (void)kernel.lock(begin, size, true);
  }
  return error;
}

int discard(const Kernel& kernel, std::uintptr_t begin, std::size_t size) noexcept {
  return known(kernel, begin, kMadvDontneedLocked)
             ? kernel.advise(begin, size, kMadvDontneedLocked)
             : advise_unlocked(kernel, begin, size, MADV_DONTNEED);
}

}  // namespace

void take_advice_despite_locks() noexcept { g_despite_locks = true; }

int advise_locked(const Kernel& kernel, std::uintptr_t begin, std::size_t size,
                  int advice) noexcept {
  if (begin % page_size() != 0 || !known(kernel, begin, advice)) {
    return EINVAL;
  }
  switch (advice) {
    case MADV_DONTNEED: return discard(kernel, begin, size);
    case kMadvFree: {
      // Only anonymous memory may be freed, which one page of it tells.
      const int error = advise_unlocked(kernel, begin, page_size(), advice);
      return error != 0 ? error : discard(kernel, begin, size);
    }
    case MADV_REMOVE: return advise_unlocked(kernel, begin, size, advice);
    case kMadvCold:
    case kMadvPageout: return 0;
    default: return EINVAL;
  }
}

int after_madvise(int answer, int before, std::uintptr_t begin, std::size_t size,
                  int advice) noexcept {
  if (answer == 0 || errno != EINVAL || !g_despite_locks) {
    return answer;
  }
  const int error = advise_locked(kSystemKernel, begin, size, advice);
  errno = error == 0 ? before : error;
  return error == 0 ? 0 : -1;
}

bool locked_against(int answer) noexcept {
  return answer != 0 && errno == EBUSY && g_despite_locks;
}

}  // namespace duende::mlock::preload
