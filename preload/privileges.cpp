// SPDX-License-Identifier: MIT OR Apache-2.0
#include "privileges.hpp"

#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "capability.hpp"
#include "diagnose.hpp"
#include "files.hpp"
#include "filter.hpp"
#include "said.hpp"
#include "stack.hpp"

namespace duende::mlock::preload {

namespace {

/// Short, and with every signal blocked, so that a handler that changes its user finds it free.
class Mutex {
 public:
  void lock() noexcept {
    const std::uint64_t all = ~std::uint64_t{0};
    std::uint64_t before = 0;
    system_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    // A waiter looks again every millisecond, so that nobody has to be woken.
    const timespec a_while = {.tv_sec = 0, .tv_nsec = 1000000};
    while (__atomic_exchange_n(&held_, 1, __ATOMIC_ACQUIRE) != 0) {
      system_call(SYS_futex, &held_, FUTEX_WAIT_PRIVATE, 1, &a_while);
    }
    mask_ = before;
  }
  void unlock() noexcept {
    const std::uint64_t before = mask_;
    __atomic_store_n(&held_, 0, __ATOMIC_RELEASE);
    system_call(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  }

 private:
  int held_ = 0;
  std::uint64_t mask_ = 0;  // of who holds it
};

class Locked {
 public:
  explicit Locked(Mutex& mutex) noexcept : mutex_(mutex) { mutex_.lock(); }
  ~Locked() { mutex_.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  Mutex& mutex_;
};

struct Following {
  const Settings* settings = nullptr;
  LockPlan plan;  // what is locked again when it is carried again
  MemlockLimit limit;
  long process = 0;  // whose memory this is, whoever else runs in it
  unsigned in_flight = 0;
  bool wanted = false;          // there was MCL_FUTURE to follow
  bool future_on = false;       // as the kernel has it
  bool thread_dropped = false;  // some thread may be without the capability
};
constinit Following g_following;
constinit Mutex g_mutex;

/// Not of vfork(2), which shares the memory, nor of fork(2) without a lock of its own.
bool is_own() noexcept { return g_following.process == system_call(SYS_getpid); }

bool following() noexcept { return g_following.wanted && is_own(); }

void set_future_lock(const LockPlan& plan, bool on) noexcept {
  leave_mapped_data(!on                   ? FutureLock::none
                    : plan.future_onfault ? FutureLock::onfault
                                          : FutureLock::populated,
                    plan.data_files);
}

/// Ends MCL_FUTURE while the capability still allows the call that does it: there is no flag for
/// that alone, so MCL_CURRENT goes along, on fault and therefore cheap; what is locked stays so.
void suspend_future() noexcept {
  Following& now = g_following;
  LockPlan current = now.plan;
  current.future = false;
  now.future_on = false;
  set_future_lock(now.plan, false);
  const Outcome outcome = lock_only(kSystemKernel, current, now.limit);
  if (outcome.failure != Failure::none || !main_stack().release(kSystemKernel)) {
    (void)kSystemKernel.munlockall();  // never fails, and an unlocked daemon beats a broken one
  }
}

/// Future mappings, and those of the time in between, also what of them is in swap.
void resume_future() noexcept {
  Following& now = g_following;
  now.future_on = lock_and_bring_back(kSystemKernel, now.plan, now.limit).failure == Failure::none;
  set_future_lock(now.plan, now.future_on);
}

void tell_of_loss(Change change) noexcept {
  const Settings& settings = *g_following.settings;
  if (settings.required || first_to_say(Saying::dropped)) {
    Message message;
    MemlockLimit limit = g_following.limit;
    limit.exempt = true;  // until now
    describe_loss(message, kSystemKernel, settings, limit, change == Change::limit);
    report(message.level, message.text);
  }
  if (settings.required) {
    abort_daemon();
  }
}

/// Asked of the kernel where the sets do not tell: they are full in a new user namespace. Under an
/// infinite limit it cannot be asked, and what is unknown is not yes.
bool still_capable(Change change) noexcept {
  return change == Change::name_space ? read_memlock_limit(kSystemKernel).exempt
                                      : effective(Capability::ipc_lock);
}

}  // namespace

void follow_privileges(const Settings& settings, const Outcome& outcome) noexcept {
  const bool follow = outcome.failure == Failure::none && outcome.plan.future;
  // Afresh also in a child, whose parent may have dropped its privileges, and told of it, before.
  g_mutex = {};
  g_following = {.settings = &settings,
                 .plan = {.current = true,
                          .current_onfault = true,
                          .future = true,
                          .future_onfault = outcome.plan.future_onfault,
                          .data_files = outcome.plan.data_files},
                 .limit = outcome.limit,
                 .process = system_call(SYS_getpid),
                 .wanted = follow,
                 .future_on = follow};
  set_future_lock(outcome.plan, follow);
}

bool before_change(Change change) noexcept {
  if (change == Change::none || !following()) {
    return false;
  }
  const detail::ErrnoGuard guard;
  Following& now = g_following;
  __atomic_add_fetch(&now.in_flight, 1, __ATOMIC_SEQ_CST);
  if (change != Change::limit && memlock_limit(kSystemKernel).infinite()) {
    return true;  // nothing that the capability carries
  }
  const Locked locked(g_mutex);
  now.limit = memlock_limit(kSystemKernel);
  if (now.future_on) {
    suspend_future();
  }
  return true;
}

void after_change(Change change) noexcept {
  const detail::ErrnoGuard guard;
  Following& now = g_following;
  const bool own = change == Change::thread || change == Change::name_space;
  const bool alone = __atomic_sub_fetch(&now.in_flight, 1, __ATOMIC_SEQ_CST) == 0;
  const MemlockLimit limit = memlock_limit(kSystemKernel);
  if (limit.infinite() && now.future_on) {
    now.thread_dropped |= own && !still_capable(change);
    return;
  }
  const Locked locked(g_mutex);
  const bool capable = still_capable(change);
  now.thread_dropped |= own && !capable;
  now.limit = limit;
  now.limit.exempt = capable && !now.thread_dropped;
  const bool carried = plan_for_start(*now.settings, now.limit).future && !now.limit.capped();
  if (!carried) {
    tell_of_loss(change);
  } else if (!now.future_on && alone) {
    resume_future();
  }
}

Change change_of(long number, const long (&arguments)[6]) noexcept {
  switch (number) {
    case SYS_setuid:
    case SYS_setreuid:
    case SYS_setresuid:
    case SYS_capset: return Change::thread;
    case SYS_unshare:
      return (arguments[0] & CLONE_NEWUSER) != 0 ? Change::name_space : Change::none;
    case SYS_setns: return Change::name_space;
    case SYS_setrlimit: return change_of_limit(0, arguments[0]);
    case SYS_prlimit64:
      return arguments[2] != 0 ? change_of_limit(arguments[0], arguments[1]) : Change::none;
    default: return Change::none;
  }
}

Change change_of_limit(long process, long resource) noexcept {
  const bool own = process == 0 || process == g_following.process;
  return own && resource == RLIMIT_MEMLOCK ? Change::limit : Change::none;
}

bool settle_before_filter() noexcept {
  const detail::ErrnoGuard guard;
  if (following() && !memlock_limit(kSystemKernel).infinite()) {
    const Locked locked(g_mutex);
    g_following.thread_dropped = true;
    if (g_following.future_on) {
      suspend_future();
    }
  }
  return is_own();
}

}  // namespace duende::mlock::preload
