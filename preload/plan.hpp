// SPDX-License-Identifier: MIT OR Apache-2.0
// What will be locked: the settings, tempered by the limit. Pure decisions.
#pragma once

#include "limits.hpp"
#include "settings.hpp"

namespace duende::mlock::preload {

/// Which code is read in at once.
enum class Code : unsigned char {
  faults,    // none: it comes as it runs, or the lock populates it anyway
  resident,  // what is loaded, within the budget; of what is populated, for the children
  again,     // what was resident in the parent
};

struct LockPlan {
  bool current = false;
  bool current_onfault = false;
  bool future = false;
  bool future_onfault = false;
  /// Best effort under a finite limit: allocations and the stack must be able to grow beyond it,
  /// also once CAP_IPC_LOCK is gone.
  bool spare_growth = false;
  /// Files mapped as data are locked as well.
  bool data_files = false;
  Code code = Code::faults;
  bool required = false;
  /// MCL_FUTURE was asked for by default only, and is left out for that reason.
  bool future_withheld = false;

  [[nodiscard]] constexpr bool empty() const noexcept { return !current && !future; }
};

/// MCL_FUTURE under a finite limit only where that was said: however closely the library follows
/// what may take CAP_IPC_LOCK away, a raw instruction passes it by, and then allocations fail.
[[nodiscard]] LockPlan plan_for_start(const Settings& settings, const MemlockLimit& limit) noexcept;

/// What a child of fork(2) has from its parent.
struct Heritage {
  /// The parent may be about to end, and with it the lock that keeps code resident.
  bool outlives = false;
  /// FUTURE=1 was said where CAP_IPC_LOCK lifted the limit: not for a child that is without it.
  bool lifted = false;
};

/// By DUENDE_MLOCK_FORK: `lazy` locks the current pages on fault, so that none is copied, `full`
/// populates, and thereby copies, them.
[[nodiscard]] LockPlan plan_for_child(const Settings& settings, const MemlockLimit& limit,
                                      const Heritage& heritage) noexcept;

}  // namespace duende::mlock::preload
