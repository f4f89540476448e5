// SPDX-License-Identifier: MIT OR Apache-2.0
#include "kernel.hpp"

#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capability.hpp"

namespace duende::mlock::preload {

namespace {

using detail::ErrnoGuard;

constexpr int kMadvPopulateRead = 22;  // Linux 5.14; newer than glibc 2.17's headers
constexpr long kMlockOnfault = 1;      // MLOCK_ONFAULT of mlock2(2), Linux 4.4

int result(int returned) noexcept { return returned == 0 ? 0 : errno; }

int munlock_pages(std::uintptr_t begin, std::size_t size) noexcept {
  const ErrnoGuard guard;
  return result(::munlock(reinterpret_cast<const void*>(begin), size));
}

int populate_read(std::uintptr_t begin, std::size_t size) noexcept {
  const ErrnoGuard guard;
  return result(::madvise(reinterpret_cast<void*>(begin), size, kMadvPopulateRead));
}

/// MADV_NOHUGEPAGE: a flag that costs a single page nothing, and that its neighbours lack.
int set_apart(std::uintptr_t page) noexcept {
  const ErrnoGuard guard;
  return result(::madvise(reinterpret_cast<void*>(page), page_size(), MADV_NOHUGEPAGE));
}

bool is_mapped(std::uintptr_t page) noexcept {
  const ErrnoGuard guard;
  unsigned char resident;
  return ::mincore(reinterpret_cast<void*>(page), page_size(), &resident) == 0;
}

int get_memlock_limit(rlimit& limit) noexcept {
  const ErrnoGuard guard;
  return result(::getrlimit(RLIMIT_MEMLOCK, &limit));
}

int set_memlock_limit(const rlimit& limit) noexcept {
  const ErrnoGuard guard;
  return result(::setrlimit(RLIMIT_MEMLOCK, &limit));
}

/// Asks by trying, on address space that is reserved for a moment and holds no memory. Reading
/// the capability sets would not tell: in a user namespace, or where an LSM denies it, an
/// effective CAP_IPC_LOCK does not count.
bool may_lock_beyond(rlim_t limit) noexcept {
  const ErrnoGuard guard;
  const std::size_t page = page_size();
  if (limit > SIZE_MAX - 2 * page) {
    return true;
  }
  const std::size_t size = (static_cast<std::size_t>(limit) / page + 1) * page;
  void* const space = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) {
    return errno == ENOMEM;  // less address space than that limit allows to lock
  }
  const int error = result(static_cast<int>(::syscall(SYS_mlock2, space, size, kMlockOnfault)));
  ::munmap(space, size);
  // Before Linux 4.4 only the capability set can be asked.
  return error == ENOSYS ? effective(Capability::ipc_lock) : error == 0;
}

int set_io_flusher(bool on) noexcept {
  const ErrnoGuard guard;
  constexpr int kPrSetIoFlusher = 57;  // glibc older than 2.36 lacks the name
  return result(::prctl(kPrSetIoFlusher, on ? 1UL : 0UL, 0UL, 0UL, 0UL));
}

// By number: musl's functions of these names only answer ENOSYS.
int set_scheduling(Scheduling wanted) noexcept {
  const ErrnoGuard guard;
  const sched_param parameter = {.sched_priority = wanted.priority};
  return result(static_cast<int>(::syscall(SYS_sched_setscheduler, 0, wanted.policy, &parameter)));
}

Scheduling scheduling() noexcept {
  const ErrnoGuard guard;
  sched_param parameter = {};
  ::syscall(SYS_sched_getparam, 0, &parameter);
  return {.policy = static_cast<int>(::syscall(SYS_sched_getscheduler, 0)),
          .priority = parameter.sched_priority};
}

constexpr Kernel system_kernel() noexcept {
  Kernel kernel{};
  static_cast<detail::Kernel&>(kernel) = detail::kSystemKernel;
  kernel.munlock = munlock_pages;
  kernel.populate_read = populate_read;
  kernel.set_apart = set_apart;
  kernel.is_mapped = is_mapped;
  kernel.get_memlock_limit = get_memlock_limit;
  kernel.set_memlock_limit = set_memlock_limit;
  kernel.may_lock_beyond = may_lock_beyond;
  kernel.set_io_flusher = set_io_flusher;
  kernel.set_scheduling = set_scheduling;
  kernel.scheduling = scheduling;
  return kernel;
}

}  // namespace

constinit const Kernel kSystemKernel = system_kernel();

std::size_t page_size() noexcept { return ::getauxval(AT_PAGESZ); }

}  // namespace duende::mlock::preload
