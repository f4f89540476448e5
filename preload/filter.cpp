// SPDX-License-Identifier: MIT OR Apache-2.0
#include "filter.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <iterator>

#include <duende/mlock/detail/procfs.hpp>

namespace duende::mlock::preload {

namespace {

/// Every call of this library but those that the dynamic linker needs as well (opening, reading,
/// closing and mapping files), and exit_group(2). The child makes itself harmless by the first
/// three.
[[gnu::section(".data.rel.ro")]] constexpr std::uint16_t kCalls[] = {
    SYS_prlimit64,
    SYS_prctl,
    SYS_rt_sigprocmask,
    SYS_mlockall,
    SYS_munlockall,
    SYS_mlock,
    SYS_mlock2,
    SYS_pread64,
    SYS_fstatfs,
    SYS_statfs,
    SYS_sysinfo,
    SYS_munlock,
    SYS_madvise,
    SYS_mincore,
    SYS_futex,
    SYS_getpid,
    SYS_capget,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_sched_setscheduler,
    SYS_sched_getscheduler,
    SYS_sched_getparam,
    SYS_fstat,
    SYS_fcntl,
    SYS_ppoll,
    SYS_pwritev2,
    SYS_write,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigaction,
    SYS_kill,
    SYS_getdents64,
    SYS_gettid,
};
constexpr unsigned kCallCount = std::size(kCalls);
static_assert(kCallCount <= 64);

constinit Filter g_filter = Filter::none;
constinit std::uint64_t g_refused = 0;  // bit i: kCalls[i] is not to be made

constexpr std::uint64_t bit(unsigned index) noexcept { return std::uint64_t{1} << index; }

/// In the child: every call that is not known to kill, `progress` being the one that may.
[[noreturn]] void try_calls(volatile unsigned& progress) noexcept {
  constexpr rlimit kNoCore = {.rlim_cur = 1, .rlim_max = 1};  // 0 would not stop a pipe
  constexpr std::uint64_t kAllSignals = ~std::uint64_t{0};
  for (unsigned i = 0; i < kCallCount; ++i) {
    if ((g_refused & bit(i)) != 0) {
      continue;
    }
    progress = i;
    switch (kCalls[i]) {
      case SYS_prlimit64: ::syscall(SYS_prlimit64, 0, RLIMIT_CORE, &kNoCore, nullptr); break;
      case SYS_prctl: ::syscall(SYS_prctl, PR_SET_DUMPABLE, 0L, 0L, 0L, 0L); break;
      case SYS_rt_sigprocmask:
        ::syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kAllSignals, nullptr, sizeof kAllSignals);
        break;
      // No call does anything with these, not even to the child; kill(2) would take -1 for
      // everybody.
      default: ::syscall(kCalls[i], long{INT_MIN}, -1L, -1L, -1L, -1L, -1L); break;
    }
  }
  progress = kCallCount;
  for (;;) {
    ::syscall(SYS_exit_group, 0);
  }
}

/// One child for each call that kills, and one that survives. It shares no memory: before Linux
/// 5.16 its core file would be the end of whoever does. No signal tells of its end. False where
/// there is no child to be had.
bool try_in_children() noexcept {
  constexpr std::size_t kPage = sizeof(unsigned);
  const long shared = ::syscall(SYS_mmap, nullptr, kPage, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1L, 0L);
  if (shared == -1) {
    return false;
  }
  auto& progress = *reinterpret_cast<volatile unsigned*>(shared);
  bool tried = false;
  g_refused = 0;
  while (!tried) {
    const long child = ::syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);  // zeros: their order differs
    if (child == 0) {
      try_calls(progress);
    }
    while (child > 0 && ::syscall(SYS_wait4, child, nullptr, __WALL, nullptr) == -1 &&
           errno == EINTR) {
    }
    tried = progress == kCallCount;
    if (child < 0 || (!tried && (g_refused & bit(progress)) != 0)) {
      break;  // or it died of something else
    }
    g_refused |= tried ? 0 : bit(progress);
  }
  ::syscall(SYS_munmap, shared, kPage);
  return tried;
}

void try_filter(bool required) noexcept {
  g_filter = try_in_children() ? Filter::tried : Filter::untried;
  if (g_filter == Filter::untried) {
    g_refused = required ? 0 : ~std::uint64_t{0};
  }
}

}  // namespace

bool may_call(long number) noexcept {
  if (g_refused != 0) {
    for (unsigned i = 0; i < kCallCount; ++i) {
      if (kCalls[i] == number) {
        return (g_refused & bit(i)) == 0;
      }
    }
  }
  return true;
}

// system_call: as syscall(2) itself, it takes what was not given for arguments that are ignored.
[[gnu::used]] long call_with_all(long number, long a, long b, long c, long d, long e,
                                 long f) noexcept __asm__("duende_mlock_system_call");
long call_with_all(long number, long a, long b, long c, long d, long e, long f) noexcept {
  if (!may_call(number)) {
    errno = ENOSYS;
    return -1;
  }
  return ::syscall(number, a, b, c, d, e, f);
}

Filter filter() noexcept { return g_filter; }

std::optional<bool> filtered(const detail::Kernel& kernel) noexcept {
  detail::LineReader status(kernel, "/proc/self/status");
  while (const auto line = status.next()) {
    if (detail::starts_with(*line, "Seccomp:")) {
      return detail::ends_with(*line, "2");
    }
  }
  return std::nullopt;
}

void learn_filter(const detail::Kernel& kernel, bool required) noexcept {
  if (filtered(kernel).value_or(true)) {
    try_filter(required);
  }
}

void note_new_filter() noexcept {
  g_filter = Filter::untried;
  g_refused = ~std::uint64_t{0};
}

void relearn_in_child(bool required) noexcept {
  if (g_filter == Filter::untried) {
    try_filter(required);
  }
}

bool filter_answers(long number) noexcept {
  return may_call(number) && system_call(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 &&
         errno != EINVAL;
}

}  // namespace duende::mlock::preload
