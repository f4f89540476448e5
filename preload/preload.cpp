// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole story: what happens between the dynamic linker and the daemon's main.
#include <errno.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "diagnose.hpp"
#include "fork.hpp"
#include "privileges.hpp"
#include "reclaim.hpp"
#include "report.hpp"
#include "threads.hpp"

namespace duende::mlock::preload {

namespace {

/// Nothing that the caller of a setuid, setgid or file-capability program controls reaches it.
bool secure_execution() noexcept { return ::getauxval(AT_SECURE) != 0; }

void report_problems(const Reporter& reporter, Environment environment, LogLevel level) noexcept {
  struct Destination {
    const Reporter& reporter;
    LogLevel level;
  } destination = {reporter, level};
  const auto take = [](void* context, const Line& text) noexcept {
    const auto& to = *static_cast<const Destination*>(context);
    to.reporter.write(to.level, text);
  };
  describe_problems(environment, {take, &destination});
}

/// Limits, plan, mlockall, code resident, read back, one line.
Outcome lock_process(const Settings& settings, const Reporter& reporter, Environment environment,
                     const ReclaimState& reclaim) noexcept {
  if (settings.raise_limit && !settings.nothing_to_lock()) {
    raise_memlock_limit(kSystemKernel);
  }
  const MemlockLimit limit = read_memlock_limit(kSystemKernel);
  Outcome outcome = carry_out(kSystemKernel, plan_for_start(settings, limit), limit);
  outcome.io_flusher = reclaim.io_flusher;
  outcome.realtime = reclaim.realtime;
  const Report report = describe(kSystemKernel, outcome, settings, environment);
  reporter.write(report.level, report.text);
  return outcome;
}

/// Locks are lost over fork(2) and must end with the capability that carries them.
bool keep_locked(const Settings& settings, const Reporter& reporter,
                 const Outcome& outcome) noexcept {
  if (outcome.failure != Failure::none || outcome.plan.empty()) {
    return outcome.failure == Failure::none;
  }
  follow_privileges(settings, reporter, outcome);
  if (settings.fork == ForkMode::off || follow_forks(settings, reporter, outcome)) {
    return true;
  }
  Line line;
  line << "children of fork run unlocked: the C library registers no handler";
  reporter.write(settings.required ? LogLevel::error : LogLevel::warn, line);
  return false;
}

[[gnu::constructor]] void before_main() noexcept {
  const detail::ErrnoGuard guard;
  find_wrapped_functions();
  const Environment environment(secure_execution() ? nullptr : environ);
  const std::string_view name = secure_execution() ? "(secure)" : program_invocation_short_name;
  const auto [settings, problems, required_malformed] = read_settings(environment);

  Reporter reporter;
  reporter.open(settings.log, name, environment);
  if (!is_selected(settings, name)) {
    shed_reclaim_settings(kSystemKernel, settings);
    Line line;
    reporter.write(LogLevel::debug, line << "left alone: DUENDE_MLOCK_ONLY does not name it");
    return;
  }

  const bool strict = settings.required || required_malformed;
  if (problems != 0) {
    report_problems(reporter, environment, strict ? LogLevel::error : LogLevel::warn);
  }
  if (problems != 0 && strict) {
    abort_daemon();
  }

  const bool threads = apply_thread_settings(settings, reporter);
  const ReclaimState reclaim =
      apply_reclaim_settings(kSystemKernel, settings, reporter, environment);
  const Outcome outcome = lock_process(settings, reporter, environment, reclaim);
  const bool kept = keep_locked(settings, reporter, outcome);
  if (settings.required && !(threads && reclaim.as_asked && kept)) {
    abort_daemon();
  }
}

}  // namespace

}  // namespace duende::mlock::preload
