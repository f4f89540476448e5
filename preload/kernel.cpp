// SPDX-License-Identifier: MIT OR Apache-2.0
#include "kernel.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ctime>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

// By number: nothing stands in between, no call is a cancellation point or missing from a C
// library, and none needs a relocation in every process. Only mlockall(2) goes through libc, where
// a sanitizer replaces it on purpose.

int result(long returned) noexcept { return returned == 0 ? 0 : errno; }

int munlock_pages(std::uintptr_t begin, std::size_t size) noexcept {
  return result(system_call(SYS_munlock, begin, size));
}

int populate_read(std::uintptr_t begin, std::size_t size) noexcept {
  constexpr int kMadvPopulateRead = 22;  // Linux 5.14; newer than glibc 2.17's headers
  return result(system_call(SYS_madvise, begin, size, kMadvPopulateRead));
}

/// MADV_NOHUGEPAGE: a flag that costs a single page nothing, and that its neighbours lack.
int set_apart(std::uintptr_t page) noexcept {
  return result(system_call(SYS_madvise, page, page_size(), MADV_NOHUGEPAGE));
}

/// MS_ASYNC does nothing but look, since Linux 2.6.19; mincore(2) would allocate a page for it.
bool is_mapped(std::uintptr_t page) noexcept {
  return system_call(SYS_msync, page, page_size(), MS_ASYNC) == 0;
}

/// Extends the stack down to `address` by having the kernel read it, which it may far below the
/// stack pointer, and where failing is an error and no signal.
bool reaches_stack(std::uintptr_t address) noexcept {
  constexpr int kNeverThere = 1;  // a word that differs, or the timeout, ends the wait at once
  const timespec at_once = {};
  return system_call(SYS_futex, address, FUTEX_WAIT_PRIVATE, kNeverThere, &at_once) == 0 ||
         errno != EFAULT;
}

bool extend_stack() noexcept {
  constexpr rlim_t kMost = rlim_t{64} << 20;  // all of it is charged
  rlimit limit;
  if (system_call(SYS_prlimit64, 0, RLIMIT_STACK, nullptr, &limit) != 0 || limit.rlim_cur > kMost) {
    return false;
  }
  // The program's name is the last thing on the stack, in its last pages.
  const std::size_t page = page_size();
  const std::uintptr_t name = ::getauxval(AT_EXECFN) & ~(page - 1);
  std::uintptr_t lowest = name + 4 * page - (limit.rlim_cur & ~(page - 1));
  bool extended = false;
  for (; reaches_stack(lowest); lowest -= page) {
    extended = true;
  }
  return extended;
}

// The 64-bit structure of prlimit64(2), Linux 2.6.36, is rlimit wherever `long` has 64 bits.
static_assert(sizeof(rlim_t) == 8);

int get_memlock_limit(rlimit& limit) noexcept {
  return result(system_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limit));
}

int set_memlock_limit(const rlimit& limit) noexcept {
  return result(system_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &limit, nullptr));
}

/// Asks by trying, on address space that is reserved for a moment and holds no memory. Reading
/// the capability sets would not tell: in a user namespace, or where an LSM denies it, an
/// effective CAP_IPC_LOCK does not count.
bool may_lock_beyond(rlim_t limit) noexcept {
  constexpr long kMlockOnfault = 1;  // MLOCK_ONFAULT of mlock2(2), Linux 4.4
  const std::size_t page = page_size();
  if (limit > SIZE_MAX - 2 * page) {
    return true;
  }
  const std::size_t size = (static_cast<std::size_t>(limit) / page + 1) * page;
  const auto reserve = [size](long flags) {
    return system_call(SYS_mmap, nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1L,
                       0L);
  };
  long space = reserve(0);
  if (space == -1) {
    return errno == ENOMEM;  // less address space than that limit allows to lock
  }
  const int error = result(system_call(SYS_mlock2, space, size, kMlockOnfault));
  system_call(SYS_munmap, space, size);
  // Before Linux 4.4, and where a filter answers, another way to ask.
  if ((error == ENOSYS || error == EPERM) && (space = reserve(MAP_LOCKED)) != -1) {
    system_call(SYS_munmap, space, size);
    return true;
  }
  return error == 0;
}

int set_io_flusher(bool on) noexcept {
  constexpr int kPrSetIoFlusher = 57;  // glibc older than 2.36 lacks the name
  return result(system_call(SYS_prctl, kPrSetIoFlusher, on ? 1L : 0L, 0L, 0L, 0L));
}

int set_scheduling(long thread, Scheduling wanted) noexcept {
  const sched_param parameter = {.sched_priority = wanted.priority};
  return result(system_call(SYS_sched_setscheduler, thread, wanted.policy, &parameter));
}

Scheduling scheduling(long thread) noexcept {
  sched_param parameter = {};
  system_call(SYS_sched_getparam, thread, &parameter);
  return {.policy = static_cast<int>(system_call(SYS_sched_getscheduler, thread)),
          .priority = parameter.sched_priority};
}

int lock_all(int flags) noexcept {
  return may_call(SYS_mlockall) ? detail::kSystemKernel.mlockall(flags) : ENOSYS;
}

int unlock_all() noexcept {
  return may_call(SYS_munlockall) ? detail::kSystemKernel.munlockall() : ENOSYS;
}

constexpr Kernel system_kernel() noexcept {
  Kernel kernel{};
  static_cast<detail::Kernel&>(kernel) = detail::kSystemKernel;
  kernel.mlockall = lock_all;
  kernel.munlockall = unlock_all;
  kernel.munlock = munlock_pages;
  kernel.populate_read = populate_read;
  kernel.set_apart = set_apart;
  kernel.is_mapped = is_mapped;
  kernel.extend_stack = extend_stack;
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
