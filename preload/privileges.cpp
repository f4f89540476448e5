// SPDX-License-Identifier: MIT OR Apache-2.0
#include "privileges.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <cerrno>

#include "capability.hpp"
#include "diagnose.hpp"
#include "filter.hpp"
#include "mappings.hpp"
#include "said.hpp"
#include "symbols.hpp"

namespace duende::mlock::preload {

namespace {

using SetUid = int(uid_t);
using SetUids = int(uid_t, uid_t);
using SetAllUids = int(uid_t, uid_t, uid_t);
using CapSet = int(cap_user_header_t, cap_user_data_t);

enum Wrapped : unsigned char { kSetuid, kSeteuid, kSetreuid, kSetresuid, kCapset, kWrappedCount };
constinit void* g_real[kWrappedCount] = {};

/// The function that the wrapper of this name stands in front of.
template <class Function>
Function* real(Wrapped which) noexcept {
  if (g_real[which] == nullptr) {
    find_wrapped_functions();  // another library's constructor came before this one's
  }
  return reinterpret_cast<Function*>(g_real[which]);
}

struct Following {
  const Settings* settings = nullptr;
  LockPlan plan;  // what is locked again when the capability comes back
  MemlockLimit limit;
  GrowingStack stack;
  long process = 0;  // 0: nothing to follow
  unsigned regained = 0;
  bool future_on = false;  // as the kernel has it
};
constinit Following g_following;

bool following() noexcept {
  return g_following.process != 0 && g_following.process == system_call(SYS_getpid);
}

/// Ends MCL_FUTURE while the capability still allows the call that does it: there is no flag for
/// that alone, so MCL_CURRENT goes along, on fault and therefore cheap; what is locked stays so.
void suspend_future() noexcept {
  g_following.future_on = false;
  const LockPlan current = {.current = true, .current_onfault = true};
  const Outcome outcome = lock_only(kSystemKernel, current, g_following.limit);
  if (outcome.failure != Failure::none || !g_following.stack.release(kSystemKernel)) {
    (void)kSystemKernel.munlockall();  // never fails, and an unlocked daemon beats a broken one
  }
}

/// Future mappings at once, and those of the time in between. For a daemon that goes back and
/// forth all day the latter wait until the next drop, whose MCL_CURRENT takes them along; and the
/// stack, whose lowest page costs as much to release and lock again, is extended once instead.
void resume_future() noexcept {
  constexpr unsigned kThorough = 1000;
  LockPlan plan = g_following.plan;
  plan.current = g_following.regained < kThorough;
  g_following.regained += plan.current ? 1 : 0;
  if (plan.current && g_following.regained == kThorough) {
    g_following.stack.extend(kSystemKernel);
  }
  g_following.future_on = true;
  (void)lock_only(kSystemKernel, plan, g_following.limit);
}

void tell_of_drop() noexcept {
  const Settings& settings = *g_following.settings;
  if (settings.required || first_to_say(Saying::dropped)) {
    Message message;
    describe_drop(message, kSystemKernel, settings, g_following.limit);
    report(message.level, message.text);
  }
  if (settings.required) {
    abort_daemon();
  }
}

/// Before a call that may take the capability away; what to tell `after_change`.
bool before_change() noexcept {
  const detail::ErrnoGuard guard;
  const bool suspend = g_following.future_on && following();
  if (suspend) {
    suspend_future();
  }
  return suspend;
}

/// `result` of the call, which may have taken the capability away, given it back, or failed.
int after_change(bool suspended, int result) noexcept {
  const detail::ErrnoGuard guard;
  if (!suspended && !following()) {
    return result;
  }
  if (effective(Capability::ipc_lock)) {
    resume_future();
  } else if (suspended) {
    tell_of_drop();
  }
  return result;
}

}  // namespace

void find_wrapped_functions() noexcept {
  static constexpr char kNames[kWrappedCount][10] = {"setuid", "seteuid", "setreuid", "setresuid",
                                                     "capset"};
  for (int i = 0; i < kWrappedCount; ++i) {
    g_real[i] = find_next(kNames[i]);
  }
}

void follow_privileges(const Settings& settings, const Outcome& outcome) noexcept {
  const bool carried =
      outcome.failure == Failure::none && outcome.plan.future && outcome.limit.exempt;
  // Afresh also in a child, whose parent may have dropped its privileges, and told of it, before.
  g_following = {.settings = &settings,
                 .plan = {.current = true,
                          .current_onfault = true,
                          .future = true,
                          .future_onfault = outcome.plan.future_onfault},
                 .limit = outcome.limit,
                 .stack = {},
                 .process = carried ? system_call(SYS_getpid) : 0,
                 .future_on = carried};
}

}  // namespace duende::mlock::preload

// Exported, and the whole of what is. glibc and musl export capset without declaring it.
using namespace duende::mlock::preload;

extern "C" {

[[gnu::visibility("default")]] int setuid(uid_t uid) noexcept {
  const bool suspended = before_change();
  return after_change(suspended, real<SetUid>(kSetuid)(uid));
}

[[gnu::visibility("default")]] int seteuid(uid_t euid) noexcept {
  const bool suspended = before_change();
  return after_change(suspended, real<SetUid>(kSeteuid)(euid));
}

[[gnu::visibility("default")]] int setreuid(uid_t ruid, uid_t euid) noexcept {
  const bool suspended = before_change();
  return after_change(suspended, real<SetUids>(kSetreuid)(ruid, euid));
}

[[gnu::visibility("default")]] int setresuid(uid_t ruid, uid_t euid, uid_t suid) noexcept {
  const bool suspended = before_change();
  return after_change(suspended, real<SetAllUids>(kSetresuid)(ruid, euid, suid));
}

[[gnu::visibility("default")]] int capset(cap_user_header_t header, cap_user_data_t data) noexcept {
  const bool suspended = before_change();
  return after_change(suspended, real<CapSet>(kCapset)(header, data));
}
}
