// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fork.hpp"

#include <pthread.h>

#include "code.hpp"
#include "diagnose.hpp"
#include "filter.hpp"
#include "privileges.hpp"
#include "said.hpp"

// glibc's pthread_atfork is a static wrapper around the first (glibc 2.3.2); musl has only the
// second. No handle to take them back by: the library is linked to stay (-z nodelete).
extern "C" {
[[gnu::weak]] int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(),
                                    void* dso_handle);
}
#pragma weak pthread_atfork

namespace duende::mlock::preload {

namespace {

struct Inheritance {
  const Settings* settings = nullptr;
  bool future = false;
  bool limited = false;
  bool code = false;  // the plan of the start has made it resident
  /// Of the next child. The first of a process may be the daemon, whose parent is about to end.
  Heritage heritage;
};
constinit Inheritance g_inheritance;

/// In the parent: a place for what the children say, and what was loaded since is to be resident
/// in a child that takes over.
void before_fork() noexcept {
  const detail::ErrnoGuard guard;
  if (g_inheritance.limited || filter() == Filter::untried) {
    share_sayings();
  }
  if (g_inheritance.code && g_inheritance.heritage.outlives) {
    resident_code().look_for_more(kSystemKernel);
  }
}

/// In the parent, which goes on: for what its later children share with it, its own lock is enough.
void after_fork() noexcept { g_inheritance.heritage.outlives = false; }

/// Out of line, as a line takes more stack than a signal handler that forks may have left, and most
/// children have nothing to say.
[[gnu::noinline]] void tell_of_child(const Outcome& outcome) noexcept {
  Message message;
  message.text << "after fork: ";
  describe(message, kSystemKernel, outcome, *g_inheritance.settings);
  const bool failed = outcome.failure != Failure::none;
  const bool lost_future = g_inheritance.future && outcome.plan.future_withheld;
  const bool loud = (failed && first_to_say(Saying::child_unlocked)) ||
                    (lost_future && first_to_say(Saying::child_current_only)) ||
                    message.level == LogLevel::error;
  report(loud ? message.level : LogLevel::debug, message.text);
}

/// In the child, possibly of a process with threads: async-signal-safe calls only.
void lock_child() noexcept {
  const detail::ErrnoGuard guard;
  const Settings& settings = *g_inheritance.settings;
  relearn_in_child(settings.required);
  // The child may have dropped privileges, or entered another namespace, before it forked.
  const MemlockLimit limit = read_memlock_limit(kSystemKernel);
  const LockPlan plan = plan_for_child(settings, limit, g_inheritance.heritage);
  g_inheritance.heritage.outlives = true;
  const Outcome outcome = carry_out(kSystemKernel, plan, limit);
  follow_privileges(settings, outcome);
  const bool lost_future = g_inheritance.future && plan.future_withheld;
  if (outcome.failure != Failure::none || lost_future || reported(LogLevel::debug)) {
    tell_of_child(outcome);
  }
  if (outcome.failure != Failure::none && settings.required) {
    abort_daemon();
  }
}

}  // namespace

bool follow_forks(const Settings& settings, const Outcome& outcome) noexcept {
  g_inheritance = {.settings = &settings,
                   .future = outcome.plan.future,
                   .limited = !outcome.limit.infinite(),
                   .code = outcome.plan.code == Code::resident,
                   .heritage = {.outlives = true, .lifted = outcome.limit.exempt}};
  if (__register_atfork != nullptr) {
    return __register_atfork(before_fork, after_fork, lock_child, nullptr) == 0;
  }
  return pthread_atfork != nullptr && pthread_atfork(before_fork, after_fork, lock_child) == 0;
}

void outlive_parent() noexcept {
  if (g_inheritance.code) {
    const detail::ErrnoGuard guard;
    resident_code().read_in_again(kSystemKernel);
    g_inheritance.heritage.outlives = true;
  }
}

}  // namespace duende::mlock::preload
