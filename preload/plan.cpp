// SPDX-License-Identifier: MIT OR Apache-2.0
#include "plan.hpp"

namespace duende::mlock::preload {

namespace {

LockPlan plan_for(const Settings& settings, const MemlockLimit& limit, bool told) noexcept {
  LockPlan plan = {
      .current = settings.current,
      .current_onfault = settings.onfault,
      .future = settings.future,
      .future_onfault = settings.onfault,
      .data_files = settings.all_files,
      .code = settings.current ? Code::resident : Code::faults,
      .required = settings.required,
  };
  if (!limit.infinite() && !told) {
    plan.spare_growth = settings.current;
    plan.future_withheld = settings.future;
    plan.future = false;
  }
  return plan;
}

constexpr bool told(const Settings& settings) noexcept {
  return settings.required || (settings.future_explicit && settings.future);
}

}  // namespace

LockPlan plan_for_start(const Settings& settings, const MemlockLimit& limit) noexcept {
  return plan_for(settings, limit, told(settings));
}

LockPlan plan_for_child(const Settings& settings, const MemlockLimit& limit,
                        const Heritage& heritage) noexcept {
  const bool lost = heritage.lifted && limit.capped() && !settings.required;
  LockPlan plan = plan_for(settings, limit, told(settings) && !lost);
  plan.current_onfault = settings.fork == ForkMode::lazy;
  plan.code =
      plan.current && plan.current_onfault && heritage.outlives ? Code::again : Code::faults;
  return plan;
}

}  // namespace duende::mlock::preload
