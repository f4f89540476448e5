// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole story: what happens between the dynamic linker and the daemon's main.
#include <errno.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "diagnose.hpp"
#include "fork.hpp"
#include "privileges.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

namespace {

/// Nothing the caller of a setuid, setgid or file-capability program controls may reach it.
bool secure_execution() noexcept { return ::getauxval(AT_SECURE) != 0; }

void report_problems(const Reporter& reporter, Environment environment, LogLevel level) noexcept {
  struct Context {
    const Reporter& reporter;
    LogLevel level;
  } context = {reporter, level};
  const auto take = [](void* opaque, const Line& text) noexcept {
    const auto& to = *static_cast<const Context*>(opaque);
    to.reporter.write(to.level, text);
  };
  describe_problems(environment, {take, &context});
}

[[gnu::constructor]] void lock_before_main() noexcept {
  const detail::ErrnoGuard guard;
  find_wrapped_functions();
  const Environment environment(secure_execution() ? nullptr : environ);
  const auto [settings, problems, required_malformed] = read_settings(environment);

  Reporter reporter;
  reporter.open(settings.log, secure_execution() ? "(secure)" : program_invocation_short_name,
                environment);

  if (problems != 0) {
    const bool fatal = settings.required || required_malformed;
    report_problems(reporter, environment, fatal ? LogLevel::error : LogLevel::warn);
    if (fatal) {
      abort_daemon();
    }
  }

  if (settings.raise_limit && !settings.nothing_to_lock()) {
    raise_memlock_limit(kSystemKernel);
  }
  const MemlockLimit limit = read_memlock_limit(kSystemKernel);
  const Outcome outcome = carry_out(kSystemKernel, plan_for_start(settings, limit), limit);
  const Report report = describe(kSystemKernel, outcome, settings, environment);
  reporter.write(report.level, report.text);

  const bool failed = outcome.failure != Failure::none;
  if (failed && settings.required) {
    abort_daemon();
  }
  follow_privileges(settings, reporter, outcome);
  const bool followed = failed || outcome.plan.empty() || settings.fork == ForkMode::off ||
                        follow_forks(settings, reporter, outcome);
  if (!followed) {
    Line line;
    line << "children of fork run unlocked: the C library registers no handler";
    reporter.write(settings.required ? LogLevel::error : LogLevel::warn, line);
    if (settings.required) {
      abort_daemon();
    }
  }
}

}  // namespace

}  // namespace duende::mlock::preload
