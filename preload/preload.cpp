// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole story: what happens between the dynamic linker and the daemon's main.
#include <errno.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "advice.hpp"
#include "diagnose.hpp"
#include "filter.hpp"
#include "fork.hpp"
#include "privileges.hpp"
#include "reclaim.hpp"
#include "report.hpp"
#include "said.hpp"
#include "threads.hpp"
#include "wrappers.hpp"

namespace duende::mlock::preload {

namespace {

[[gnu::section(".data.rel.ro")]] constexpr char kNoHandler[] =
    "children of fork run unlocked: the C library registers no handler";
[[gnu::section(".data.rel.ro")]] constexpr char kLeftAlone[] =
    "left alone: DUENDE_MLOCK_ONLY does not name it";

/// For as long as the process: what runs after a fork, and at a privilege drop, reads it.
constinit Settings g_settings;

/// Nothing that the caller of a setuid, setgid or file-capability program controls reaches it.
bool secure_execution() noexcept { return ::getauxval(AT_SECURE) != 0; }

void report_problems(Environment environment, LogLevel level) noexcept {
  const auto take = [](void* context, const Line& text) noexcept {
    report(*static_cast<const LogLevel*>(context), text);
  };
  describe_problems(environment, {take, &level});
}

/// Limits, plan, mlockall, code resident, read back, one line.
Outcome lock_process(const ReclaimState& reclaim) noexcept {
  MemlockLimit limit = read_memlock_limit(kSystemKernel);
  // Children and what they exec inherit a raised limit: so only where something depends on it.
  const bool needed = g_settings.future || (g_settings.current && limit.capped());
  if (g_settings.raise_limit && needed && !limit.infinite() && raise_memlock_limit(kSystemKernel)) {
    limit = read_memlock_limit(kSystemKernel);
  }
  Outcome outcome = carry_out(kSystemKernel, plan_for_start(g_settings, limit), limit);
  outcome.io_flusher = reclaim.io_flusher;
  outcome.realtime = reclaim.realtime;
  Message message;
  describe(message, kSystemKernel, outcome, g_settings);
  const bool failed = outcome.failure != Failure::none;
  report(quieter(message.level, failed), message.text);
  if (!secure_execution()) {
    tell_descendants(environ, failed);
  }
  return outcome;
}

/// Locks are lost over fork(2), and must end with the capability that carries them.
bool keep_locked(const Outcome& outcome) noexcept {
  if (outcome.failure != Failure::none || outcome.plan.empty()) {
    return outcome.failure == Failure::none;
  }
  take_advice_despite_locks();
  follow_privileges(g_settings, outcome);
  if (g_settings.fork == ForkMode::off || follow_forks(g_settings, outcome)) {
    return true;
  }
  Line line;
  line << kNoHandler;
  report(g_settings.required ? LogLevel::error : LogLevel::warn, line);
  return false;
}

[[gnu::constructor]] void before_main() noexcept {
  const detail::ErrnoGuard guard;
  find_wrapped_functions();
  const Environment environment(secure_execution() ? nullptr : environ);
  const std::string_view name = secure_execution() ? "(secure)" : program_invocation_short_name;
  const ReadResult read = read_settings(environment);
  g_settings = read.settings;
  learn_filter(kSystemKernel, g_settings.required);

  open_report(g_settings.log, name, environment);
  hear_of_forebears(environment);
  remember_host(environment);
  if (!is_selected(g_settings, name)) {
    shed_reclaim_settings(kSystemKernel, g_settings);
    Line line;
    report(LogLevel::debug, line << kLeftAlone);
    return;
  }

  const bool strict = g_settings.required || read.required_malformed;
  if (read.problems != 0) {
    report_problems(environment, strict ? LogLevel::error : quieter(LogLevel::warn, false));
  }
  if (read.problems != 0 && strict) {
    abort_daemon();
  }

  const bool threads = apply_thread_settings(g_settings);
  const ReclaimState reclaim = apply_reclaim_settings(kSystemKernel, g_settings);
  const Outcome outcome = lock_process(reclaim);
  const bool kept = keep_locked(outcome);
  if (g_settings.required && !(threads && reclaim.as_asked && kept)) {
    abort_daemon();
  }
}

}  // namespace

}  // namespace duende::mlock::preload
