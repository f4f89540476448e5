// SPDX-License-Identifier: MIT OR Apache-2.0
#include "files.hpp"

#include <sys/mman.h>
#include <cstdint>

namespace duende::mlock::preload {

namespace {

struct Policy {
  FutureLock future = FutureLock::none;
  bool all_files = false;
  bool data_mapped = false;
};
constinit Policy g_policy;

/// MAP_LOCKED is the program's own wish; what private writable mappings change is anonymous memory.
bool may_be_data(int protection, int flags, int file) noexcept {
  const bool code = (protection & PROT_EXEC) != 0;
  const bool changes_memory = (protection & PROT_WRITE) != 0 && (flags & MAP_TYPE) == MAP_PRIVATE;
  return file >= 0 && (flags & (MAP_ANONYMOUS | MAP_LOCKED)) == 0 && !code && !changes_memory;
}

bool never_swapped(int file) noexcept {
  const detail::ErrnoGuard guard;
  return kSystemKernel.swappable(file) == Answer::no;
}

/// A lock that populates would read in the whole file first: so it is mapped without access until
/// it is unlocked.
void* map_unpopulated(Mmap* real, void* address, std::size_t size, int protection, int flags,
                      int file, off_t offset) noexcept {
  void* const begin = real(address, size, PROT_NONE, flags & ~MAP_POPULATE, file, offset);
  if (begin == MAP_FAILED) {
    return begin;
  }
  const auto at = reinterpret_cast<std::uintptr_t>(begin);
  (void)kSystemKernel.munlock(at, size);
  if (::mprotect(begin, size, protection) != 0) {  // EACCES, as of mmap
    const detail::ErrnoGuard guard;
    ::munmap(begin, size);
    return MAP_FAILED;
  }
  return begin;
}

}  // namespace

void* map(Mmap* real, void* address, std::size_t size, int protection, int flags, int file,
          off_t offset) noexcept {
  const Policy policy = g_policy;
  const bool data = !policy.all_files && may_be_data(protection, flags, file);
  g_policy.data_mapped |= data;
  // Where nothing is locked there is nothing to do, and not a call to be made.
  if (!data || policy.future == FutureLock::none || !never_swapped(file)) {
    return real(address, size, protection, flags, file, offset);
  }
  if (policy.future == FutureLock::populated) {
    return map_unpopulated(real, address, size, protection, flags, file, offset);
  }
  void* const begin = real(address, size, protection, flags, file, offset);
  if (begin != MAP_FAILED) {
    const detail::ErrnoGuard guard;
    (void)kSystemKernel.munlock(reinterpret_cast<std::uintptr_t>(begin), size);
  }
  return begin;
}

void leave_mapped_data(FutureLock lock, bool all_files) noexcept {
  g_policy.future = lock;
  g_policy.all_files = all_files;
}

bool data_files_mapped() noexcept { return g_policy.data_mapped; }

}  // namespace duende::mlock::preload
