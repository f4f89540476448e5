// SPDX-License-Identifier: MIT OR Apache-2.0
#include "locking.hpp"

#include <sys/syscall.h>
#include <cerrno>

#include <duende/mlock/lock.hpp>

#include "code.hpp"
#include "filter.hpp"
#include "mappings.hpp"
#include "stack.hpp"

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
  if (outcome.failure != Failure::none) {
    return;
  }
  const bool ignored = outcome.plan.current ? outcome.memory && outcome.memory->locked == 0
                                            : kernel.locks_new_mappings() == Answer::no;
  if (ignored) {
    outcome.failure = Failure::not_honoured;
  }
}

void bring_back(const Kernel& kernel, Outcome& outcome) noexcept {
  if (outcome.failure == Failure::none && outcome.plan.current && outcome.memory &&
      outcome.memory->swapped != 0 && !bring_back_swapped(kernel) && outcome.plan.required) {
    outcome.failure = Failure::in_swap;
  }
}

void read_in(const Kernel& kernel, const LockPlan& plan) noexcept {
  switch (plan.code) {
    case Code::resident:
      if (plan.data_files) {
        resident_code().lock_whole();
      }
      resident_code().read_in(kernel);
      return;
    case Code::again: resident_code().read_in_again(kernel, kChildBudget); return;
    case Code::faults: return;
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
  // What is populated could not be left out any more, so it is populated when that is done.
  const bool leave_data = plan.current && !plan.data_files && kernel.data_files_mapped();
  const bool current_onfault = plan.current_onfault || leave_data;
  if (!plan.current || !plan.future || current_onfault == plan.future_onfault) {
    lock(kernel, outcome, plan.current, plan.future,
         plan.current ? current_onfault : plan.future_onfault);
  } else {
    // MCL_FUTURE without MCL_CURRENT leaves alone what the first call locked.
    lock(kernel, outcome, true, false, current_onfault);
    if (outcome.failure == Failure::none) {
      lock(kernel, outcome, false, true, plan.future_onfault);
    }
  }
  if (plan.current && outcome.failure == Failure::none) {
    if (leave_data) {
      (void)leave_data_files(kernel, !plan.current_onfault && !outcome.onfault_refused);
    }
    resident_code().leave_rest(kernel);
  }
  return outcome;
}

Outcome lock_and_bring_back(const Kernel& kernel, const LockPlan& plan,
                            const MemlockLimit& limit) noexcept {
  Outcome outcome = lock_only(kernel, plan, limit);
  outcome.memory = detail::read_memory_use(kernel);
  bring_back(kernel, outcome);
  return outcome;
}

Outcome carry_out(const Kernel& kernel, const LockPlan& plan, const MemlockLimit& limit) noexcept {
  Outcome outcome = lock_only(kernel, plan, limit);
  if (plan.empty()) {
    return outcome;
  }
  if (outcome.failure == Failure::none && !outcome.onfault_refused) {
    read_in(kernel, plan);
  }
  if (outcome.failure == Failure::none && plan.spare_growth && !main_stack().release(kernel)) {
    outcome.failure = Failure::stack_lost;
  }
  verify(kernel, outcome);
  bring_back(kernel, outcome);
  if (outcome.failure != Failure::none) {
    // A first call may have succeeded where the second failed.
    (void)detail::unlock_all(kernel);
  }
  return outcome;
}

}  // namespace duende::mlock::preload
