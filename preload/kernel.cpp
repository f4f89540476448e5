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

namespace duende::mlock::preload {

namespace {

// By number: nothing stands in between, no call is a cancellation point or missing from a C
// library, and none needs a relocation in every process. Only mlockall(2) goes through libc, where
// a sanitizer replaces it on purpose.

int result(long returned) noexcept { return returned == 0 ? 0 : errno; }

int munlock_pages(std::uintptr_t begin, std::size_t size) noexcept {
  return result(::syscall(SYS_munlock, begin, size));
}

int populate_read(std::uintptr_t begin, std::size_t size) noexcept {
  constexpr int kMadvPopulateRead = 22;  // Linux 5.14; newer than glibc 2.17's headers
  return result(::syscall(SYS_madvise, begin, size, kMadvPopulateRead));
}

/// MADV_NOHUGEPAGE: a flag that costs a single page nothing, and that its neighbours lack.
int set_apart(std::uintptr_t page) noexcept {
  return result(::syscall(SYS_madvise, page, page_size(), MADV_NOHUGEPAGE));
}

/// MS_ASYNC does nothing but look, since Linux 2.6.19; mincore(2) would allocate a page for it.
bool is_mapped(std::uintptr_t page) noexcept {
  return ::syscall(SYS_msync, page, page_size(), MS_ASYNC) == 0;
}

/// Extends the stack down to `address` by having the kernel read it, which it may far below the
/// stack pointer, and where failing is an error and no signal.
bool reaches_stack(std::uintptr_t address) noexcept {
  constexpr int kNeverThere = 1;  // a word that differs, or the timeout, ends the wait at once
  const timespec at_once = {};
  return ::syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, kNeverThere, &at_once) != 0 &&
         (errno == EAGAIN || errno == ETIMEDOUT);
}

bool extend_stack() noexcept {
  constexpr rlim_t kMost = rlim_t{64} << 20;  // all of it is charged
  constexpr unsigned kSlack = 4;              // pages
  rlimit limit;
  if (::syscall(SYS_prlimit64, 0, RLIMIT_STACK, nullptr, &limit) != 0 || limit.rlim_cur > kMost) {
    return false;
  }
  // The program's name is the last thing on the stack, in its last pages.
  const std::size_t page = page_size();
  const std::uintptr_t name = ::getauxval(AT_EXECFN) & ~(page - 1);
  const std::uintptr_t highest = name + kSlack * page - (limit.rlim_cur & ~(page - 1));
  unsigned pages = 0;
  while (pages < 2 * kSlack && reaches_stack(highest - pages * page)) {
    ++pages;
  }
  return pages != 0;
}

// The 64-bit structure of prlimit64(2), Linux 2.6.36, is rlimit wherever `long` has 64 bits.
static_assert(sizeof(rlim_t) == 8);

int get_memlock_limit(rlimit& limit) noexcept {
  return result(::syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limit));
}

int set_memlock_limit(const rlimit& limit) noexcept {
  return result(::syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &limit, nullptr));
}

/// Address space that holds no memory; -1 and errno.
long reserve(std::size_t size) noexcept {
#if defined(__s390x__)
  const unsigned long block[] = {0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, ~0UL, 0};
  return ::syscall(SYS_mmap, block);
#else
  return ::syscall(SYS_mmap, nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1L, 0L);
#endif
}

/// Asks by trying, on address space that is reserved for a moment. Reading the capability sets
/// would not tell: in a user namespace, or where an LSM denies it, an effective CAP_IPC_LOCK does
/// not count.
Answer may_lock_beyond(rlim_t limit) noexcept {
  const std::size_t page = page_size();
  // The stack begins where address space ends: no process has room for more than such a limit.
  if (limit >= ::getauxval(AT_EXECFN) / 2) {
    return Answer::yes;
  }
  const std::size_t size = (static_cast<std::size_t>(limit) / page + 1) * page;
  const long space = reserve(size);
  if (space == -1) {
    return Answer::unknown;  // RLIMIT_AS, the number of mappings, a filter
  }
  // What may not be read is locked and then, as populating it fails, refused with ENOMEM, which is
  // the answer to too much as well. Whether it is locked tells advice that locked memory refuses.
  const int error = result(::syscall(SYS_mlock, space, size));
  const int advice = result(::syscall(SYS_madvise, space, size, MADV_DONTNEED));
  ::syscall(SYS_munmap, space, size);
  if (error == 0 || (error == ENOMEM && advice == EINVAL)) {
    return Answer::yes;
  }
  return advice == 0 ? Answer::no : Answer::unknown;
}

int set_io_flusher(bool on) noexcept {
  constexpr int kPrSetIoFlusher = 57;  // glibc older than 2.36 lacks the name
  return result(::syscall(SYS_prctl, kPrSetIoFlusher, on ? 1L : 0L, 0L, 0L, 0L));
}

int set_scheduling(Scheduling wanted) noexcept {
  const sched_param parameter = {.sched_priority = wanted.priority};
  return result(::syscall(SYS_sched_setscheduler, 0, wanted.policy, &parameter));
}

Scheduling scheduling() noexcept {
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
