// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fork.hpp"

#include <pthread.h>

#include "diagnose.hpp"
#include "privileges.hpp"

// glibc's pthread_atfork is a static wrapper around the first (glibc 2.3.2); musl has only the
// second. Both are called with the library's own handle, so that dlclose(3) takes them back.
extern "C" {
[[gnu::weak]] int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(),
                                    void* dso_handle);
[[gnu::visibility("hidden")]] extern void* __dso_handle;
}
#pragma weak pthread_atfork

namespace duende::mlock::preload {

namespace {

/// Written once before main, read in children.
struct Inheritance {
  Settings settings;
  Reporter reporter;
  bool parent_locks_future = false;
};
constinit Inheritance g_inheritance;

/// In the child, possibly of a process with threads: async-signal-safe calls only.
void lock_child() noexcept {
  const detail::ErrnoGuard guard;
  const auto& [settings, reporter, parent_locks_future] = g_inheritance;
  // The child may have dropped privileges, or entered another namespace, before it forked.
  const MemlockLimit limit = read_memlock_limit(kSystemKernel);
  const LockPlan plan = plan_for_child(settings, limit);
  const Outcome outcome = carry_out(kSystemKernel, plan, limit);
  follow_privileges(settings, reporter, outcome);
  const bool failed = outcome.failure != Failure::none;
  const bool lost_future = parent_locks_future && plan.future_withheld;
  if (!failed && !lost_future && !reporter.wants(LogLevel::debug)) {
    return;
  }
  const Report report = describe(kSystemKernel, outcome, settings, Environment(nullptr));
  Line line;
  line << "after fork: " << report.text;
  reporter.write(failed || lost_future ? report.level : LogLevel::debug, line);
  if (failed && settings.required) {
    abort_daemon();
  }
}

}  // namespace

bool follow_forks(const Settings& settings, const Reporter& reporter,
                  const Outcome& outcome) noexcept {
  g_inheritance = {settings, reporter, outcome.plan.future};
  if (__register_atfork != nullptr) {
    return __register_atfork(nullptr, nullptr, lock_child, &__dso_handle) == 0;
  }
  return pthread_atfork != nullptr && pthread_atfork(nullptr, nullptr, lock_child) == 0;
}

}  // namespace duende::mlock::preload
