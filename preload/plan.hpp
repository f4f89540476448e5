// SPDX-License-Identifier: MIT OR Apache-2.0
// What will be locked: the settings, tempered by the limit. Pure decisions.
#pragma once

#include "limits.hpp"
#include "settings.hpp"

namespace duende::mlock::preload {

struct LockPlan {
  bool current = false;
  bool current_onfault = false;
  bool future = false;
  bool future_onfault = false;
  /// Best effort under a limit: allocations and the stack must be able to grow beyond it.
  bool spare_growth = false;
  /// MCL_FUTURE was asked for by default only, and is left out for that reason.
  bool future_withheld = false;

  [[nodiscard]] constexpr bool empty() const noexcept { return !current && !future; }
};

[[nodiscard]] LockPlan plan_for_start(const Settings& settings, const MemlockLimit& limit) noexcept;

/// A child of fork(2), by DUENDE_MLOCK_FORK: `lazy` locks the current pages on fault, so that
/// none is copied, `full` populates, and thereby copies, them.
[[nodiscard]] LockPlan plan_for_child(const Settings& settings, const MemlockLimit& limit) noexcept;

}  // namespace duende::mlock::preload
