// SPDX-License-Identifier: MIT OR Apache-2.0
#include "locking.hpp"

#include <sys/syscall.h>
#include <cerrno>

#include <duende/mlock/lock.hpp>

#include "filter.hpp"
#include "mappings.hpp"

namespace duende::mlock::preload {

namespace {

MlockConfig config(bool current, bool future, bool onfault) noexcept {
  return MlockConfig::builder().current(current).future(future).onfault(onfault).build();
}

/// One mlockall. Before Linux 4.4 it answers EINVAL to MCL_ONFAULT; no other errno is a reason
/// to do without.
void lock(const Kernel& kernel, Outcome& outcome, bool current, bool future,
          bool onfault) noexcept {
  MlockConfig wanted = config(current, future, onfault);
  outcome.error = detail::lock(kernel, wanted);
  if (outcome.error == EINVAL && onfault) {
    outcome.onfault_refused = true;
    wanted = config(current, future, false);
    outcome.error = detail::lock(kernel, wanted);
  }
  outcome.flags = detail::mlockall_flags(wanted);
  outcome.failure = outcome.error == 0 ? Failure::none : Failure::refused;
}

void verify(const Kernel& kernel, Outcome& outcome) noexcept {
  outcome.memory = detail::read_memory_use(kernel);
  if (outcome.failure == Failure::none && outcome.plan.current && outcome.memory &&
      outcome.memory->locked == 0) {
    outcome.failure = Failure::not_honoured;
  }
}

}  // namespace

Outcome lock_only(const Kernel& kernel, const LockPlan& plan, const MemlockLimit& limit) noexcept {
  Outcome outcome = {.plan = plan, .limit = limit, .memory = {}};
  if (plan.empty()) {
    return outcome;  // not even MCL_ONFAULT, which alone is EINVAL
  }
  if (!limit.infinite() && !may_call(SYS_munlockall)) {
    outcome.failure = Failure::refused;  // what cannot be undone may be what breaks the daemon
    outcome.error = ENOSYS;
    return outcome;
  }
  if (!plan.current || !plan.future || plan.current_onfault == plan.future_onfault) {
    lock(kernel, outcome, plan.current, plan.future,
         plan.current ? plan.current_onfault : plan.future_onfault);
    return outcome;
  }
  // MCL_FUTURE without MCL_CURRENT leaves alone what the first call locked.
  lock(kernel, outcome, true, false, plan.current_onfault);
  if (outcome.failure == Failure::none) {
    lock(kernel, outcome, false, true, plan.future_onfault);
  }
  return outcome;
}

Outcome carry_out(const Kernel& kernel, const LockPlan& plan, const MemlockLimit& limit) noexcept {
  Outcome outcome = lock_only(kernel, plan, limit);
  if (plan.empty()) {
    return outcome;
  }
  if (outcome.failure == Failure::none && plan.current && plan.current_onfault &&
      !outcome.onfault_refused) {
    make_code_resident(kernel);
  }
  if (outcome.failure == Failure::none && plan.spare_growth && !GrowingStack().release(kernel)) {
    outcome.failure = Failure::stack_lost;
  }
  verify(kernel, outcome);
  if (outcome.failure == Failure::none && plan.current && outcome.memory &&
      outcome.memory->swapped != 0) {
    bring_back_swapped(kernel);
  }
  if (outcome.failure != Failure::none) {
    // A first call may have succeeded where the second failed.
    (void)detail::unlock_all(kernel);
  }
  return outcome;
}

}  // namespace duende::mlock::preload
