// SPDX-License-Identifier: MIT OR Apache-2.0
#include "plan.hpp"

namespace duende::mlock::preload {

LockPlan plan_for_start(const Settings& settings, const MemlockLimit& limit) noexcept {
  LockPlan plan = {
      .current = settings.current,
      .current_onfault = settings.onfault,
      .future = settings.future,
      .future_onfault = settings.onfault,
      .data_files = settings.all_files,
      .code = settings.current && settings.onfault ? Code::resident : Code::faults,
      .required = settings.required,
  };
  const bool told = settings.required || (settings.future_explicit && settings.future);
  if (!limit.infinite() && !told) {
    plan.spare_growth = settings.current;
    plan.future_withheld = settings.future;
    plan.future = false;
  }
  return plan;
}

LockPlan plan_for_child(const Settings& settings, const MemlockLimit& limit,
                        bool outlives) noexcept {
  LockPlan plan = plan_for_start(settings, limit);
  plan.current_onfault = settings.fork == ForkMode::lazy;
  plan.code = plan.current && plan.current_onfault && outlives ? Code::again : Code::faults;
  return plan;
}

}  // namespace duende::mlock::preload
