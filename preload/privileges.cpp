// SPDX-License-Identifier: MIT OR Apache-2.0
#include "privileges.hpp"

#include <linux/capability.h>
#include <sys/types.h>
#include <unistd.h>
#include <cerrno>

#include "capability.hpp"
#include "diagnose.hpp"
#include "mappings.hpp"
#include "symbols.hpp"

namespace duende::mlock::preload {

namespace {

struct Wrapped {
  int (*setuid)(uid_t);
  int (*seteuid)(uid_t);
  int (*setreuid)(uid_t, uid_t);
  int (*setresuid)(uid_t, uid_t, uid_t);
  int (*capset)(cap_user_header_t, cap_user_data_t);
};
constinit Wrapped g_real{};

struct Following {
  Settings settings;
  Reporter reporter;
  LockPlan plan;  // what is locked again when the capability comes back
  MemlockLimit limit;
  GrowingStack stack;
  pid_t process = 0;  // 0: nothing to follow
  unsigned regained = 0;
  bool future_on = false;  // as the kernel has it
  bool told = false;       // the first drop is worth a line, the thousandth is not
};
constinit Following g_following;

/// Another library's constructor may have come before this one's.
const Wrapped& real() noexcept {
  if (g_real.setuid == nullptr) {
    find_wrapped_functions();
  }
  return g_real;
}

bool following() noexcept { return g_following.process != 0 && g_following.process == ::getpid(); }

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
/// forth all day the latter wait until the next drop, whose MCL_CURRENT takes them along.
void resume_future() noexcept {
  constexpr unsigned kThorough = 1000;
  LockPlan plan = g_following.plan;
  plan.current = g_following.regained < kThorough;
  g_following.regained += plan.current ? 1 : 0;
  g_following.future_on = true;
  (void)lock_only(kSystemKernel, plan, g_following.limit);
}

void tell_of_drop() noexcept {
  if (g_following.told && !g_following.settings.required) {
    return;
  }
  g_following.told = true;
  const Report report = describe_drop(kSystemKernel, g_following.settings, g_following.limit);
  g_following.reporter.write(report.level, report.text);
  if (g_following.settings.required) {
    abort_daemon();
  }
}

/// Around a call that may change this process's capabilities.
template <class Change>
int follow(Change change) noexcept {
  if (!following()) {
    return change();
  }
  const bool was_on = g_following.future_on;
  if (was_on) {
    suspend_future();
  }
  const int result = change();
  const detail::ErrnoGuard guard;
  if (effective(Capability::ipc_lock)) {
    resume_future();
  } else if (was_on) {
    tell_of_drop();
  }
  return result;
}

}  // namespace

void find_wrapped_functions() noexcept {
  const auto find = []<class Function>(Function*& slot, std::string_view name) {
    slot = reinterpret_cast<Function*>(find_symbol(name, SearchFrom::after_this_library));
  };
  find(g_real.setuid, "setuid");
  find(g_real.seteuid, "seteuid");
  find(g_real.setreuid, "setreuid");
  find(g_real.setresuid, "setresuid");
  find(g_real.capset, "capset");
}

void follow_privileges(const Settings& settings, const Reporter& reporter,
                       const Outcome& outcome) noexcept {
  const bool carried =
      outcome.failure == Failure::none && outcome.plan.future && outcome.limit.exempt;
  if (!carried) {
    g_following.process = 0;
    return;
  }
  g_following.settings = settings;
  g_following.reporter = reporter;
  g_following.limit = outcome.limit;
  g_following.plan = {.current = true,
                      .current_onfault = true,
                      .future = true,
                      .future_onfault = outcome.plan.future_onfault};
  g_following.future_on = true;
  g_following.process = ::getpid();
}

}  // namespace duende::mlock::preload

// Exported, and the whole of what is: declared by unistd.h, and by nothing in the case of capset,
// which glibc and musl export without a header of their own.
using duende::mlock::preload::follow;
using duende::mlock::preload::real;

extern "C" {

[[gnu::visibility("default")]] int setuid(uid_t uid) noexcept {
  return follow([=] { return real().setuid(uid); });
}

[[gnu::visibility("default")]] int seteuid(uid_t euid) noexcept {
  return follow([=] { return real().seteuid(euid); });
}

[[gnu::visibility("default")]] int setreuid(uid_t ruid, uid_t euid) noexcept {
  return follow([=] { return real().setreuid(ruid, euid); });
}

[[gnu::visibility("default")]] int setresuid(uid_t ruid, uid_t euid, uid_t suid) noexcept {
  return follow([=] { return real().setresuid(ruid, euid, suid); });
}

[[gnu::visibility("default")]] int capset(cap_user_header_t header, cap_user_data_t data) noexcept {
  return follow([=] { return real().capset(header, data); });
}
}
