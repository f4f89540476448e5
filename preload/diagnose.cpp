// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnose.hpp"

#include <unistd.h>
#include <cerrno>

#include <duende/mlock/status.hpp>

namespace duende::mlock::preload {

namespace {

enum class Cause : unsigned char {
  limit,
  user_namespace,
  seccomp,
  security_module,
  memory,
  kernel,
  not_honoured,
  no_proc,
};

constexpr std::string_view errno_name(int error) noexcept {
  switch (error) {
    case EPERM: return "EPERM";
    case ENOMEM: return "ENOMEM";
    case EINVAL: return "EINVAL";
    case EAGAIN: return "EAGAIN";
    case ENOSYS: return "ENOSYS";
    default: return "an unexpected errno";
  }
}

void append_kib(Line& line, rlim_t bytes) noexcept {
  if (bytes == RLIM_INFINITY) {
    line << "infinite";
  } else {
    line << bytes / 1024 << " KiB";
  }
}

void append_limit(Line& line, const MemlockLimit& limit) noexcept {
  line << "RLIMIT_MEMLOCK (";
  append_kib(line, limit.soft);
  if (limit.hard != limit.soft) {
    line << ", hard limit ";
    append_kib(line, limit.hard);
  }
  line << ')';
}

constexpr std::string_view name_of(Capability which) noexcept {
  switch (which) {
    case Capability::ipc_lock: return "IPC_LOCK";
    case Capability::sys_nice: return "SYS_NICE";
    case Capability::sys_resource: return "SYS_RESOURCE";
  }
  return {};
}

/// Why a capability does not help here.
void append_capability(Line& line, Capability which) noexcept {
  const CapabilityState state = capability(which);
  line << "CAP_" << name_of(which);
  if (state.effective) {
    line << (state.namespaced ? " does not count: it is held only in a user namespace"
                              : " is effective, but a security module refuses it");
  } else if (state.permitted) {
    line << " is permitted but not effective";
  } else {
    line << (state.bounding ? " is in the bounding set but not effective"
                            : " is not in the bounding set");
  }
}

void append_flags(Line& line, int flags) noexcept {
  struct Flag {
    int bit;
    std::string_view name;
  };
  constexpr Flag kFlags[] = {{detail::kMclCurrent, "MCL_CURRENT"},
                             {detail::kMclFuture, "MCL_FUTURE"},
                             {detail::kMclOnfault, "MCL_ONFAULT"}};
  std::string_view separator = "mlockall(";
  for (const Flag& flag : kFlags) {
    if ((flags & flag.bit) != 0) {
      line << separator << flag.name;
      separator = "|";
    }
  }
  line << ')';
}

/// A seccomp filter is in force: proc_pid_status(5), Linux 3.8.
bool filtered(const Kernel& kernel) noexcept {
  detail::LineReader status(kernel, "/proc/self/status");
  while (const auto line = status.next()) {
    if (detail::starts_with(*line, "Seccomp:")) {
      return detail::ends_with(*line, "2");
    }
  }
  return false;
}

Cause find_cause(const Kernel& kernel, const Outcome& outcome) noexcept {
  if (outcome.failure == Failure::stack_lost) {
    return Cause::no_proc;
  }
  if (outcome.failure == Failure::not_honoured) {
    return Cause::not_honoured;
  }
  const bool too_large = !outcome.memory || outcome.memory->address_space > outcome.limit.soft;
  const bool limited =
      outcome.limit.capped() && ((outcome.error == EPERM && outcome.limit.soft == 0) ||
                                 (outcome.error == ENOMEM && too_large));
  if (limited || outcome.failure == Failure::none) {
    const CapabilityState ipc_lock = capability(Capability::ipc_lock);
    return ipc_lock.effective && ipc_lock.namespaced ? Cause::user_namespace : Cause::limit;
  }
  if (outcome.error == EPERM) {
    return filtered(kernel) ? Cause::seccomp : Cause::security_module;
  }
  return outcome.error == ENOMEM || outcome.error == EAGAIN ? Cause::memory : Cause::kernel;
}

void append_cause(Line& line, Cause cause, const Outcome& outcome) noexcept {
  switch (cause) {
    case Cause::limit:
    case Cause::user_namespace:
      if (outcome.limit.soft == 0) {
        line << "RLIMIT_MEMLOCK is 0";
        if (outcome.limit.hard != 0) {
          line << " (hard limit ";
          append_kib(line, outcome.limit.hard);
          line << ')';
        }
      } else {
        line << "the address space";
        if (outcome.memory) {
          line << " (" << outcome.memory->address_space / 1024 << " KiB)";
        }
        line << " exceeds ";
        append_limit(line, outcome.limit);
      }
      append_capability(line << ", and ", Capability::ipc_lock);
      return;
    case Cause::seccomp: line << "a seccomp filter refuses mlockall"; return;
    case Cause::security_module:
      line << "a security module or sandbox refuses mlockall, for ";
      append_limit(line, outcome.limit);
      line << " would allow it";
      return;
    case Cause::memory:
      line << "the kernel has no memory left, or the process more mappings than vm.max_map_count";
      return;
    case Cause::kernel: line << "this kernel does not have it"; return;
    case Cause::not_honoured:
      line << "mlockall answered 0 but VmLck is 0: a sandbox, or a sanitizer the program was "
              "built with, ignores it";
      return;
    case Cause::no_proc:
      line << "without /proc/self/maps the stack cannot be left out, and growing beyond ";
      append_limit(line, outcome.limit);
      line << " would crash";
      return;
  }
}

/// The unit this process runs in: the last part of its control group.
detail::Text<96> systemd_unit(const Kernel& kernel) noexcept {
  detail::LineReader groups(kernel, "/proc/self/cgroup");
  detail::Text<96> unit;
  while (const auto line = groups.next()) {
    const bool of_systemd =
        detail::starts_with(*line, "0::") || line->find(":name=systemd:") != line->npos;
    const std::size_t slash = line->rfind('/');
    if (of_systemd && slash != line->npos && detail::ends_with(*line, ".service")) {
      return unit << std::string_view(line->data() + slash + 1, line->size() - slash - 1);
    }
  }
  return unit;
}

void append_limit_fix(Line& line, const Kernel& kernel, Host host,
                      const MemlockLimit& limit) noexcept {
  switch (host) {
    case Host::systemd:
      line << "LimitMEMLOCK=infinity in the [Service] section of " << systemd_unit(kernel);
      return;
    case Host::docker: line << "docker run --ulimit memlock=-1:-1"; return;
    case Host::podman: line << "podman run --ulimit memlock=-1:-1"; return;
    case Host::kubernetes:
      if (limit.exempt) {
        line << "keep the container's user root: Kubernetes sets no memlock limit";
        return;
      }
      line << "run the container as root, with IPC_LOCK in securityContext.capabilities.add";
      return;
    case Host::shell:
      line << "the line `* - memlock unlimited` in /etc/security/limits.conf, and a new login";
      return;
  }
}

void append_capability_fix(Line& line, const Kernel& kernel, Capability which, Host host) noexcept {
  const std::string_view name = name_of(which);
  line << "; fix: ";
  switch (host) {
    case Host::systemd:
      line << "AmbientCapabilities=CAP_" << name << " in the [Service] section of "
           << systemd_unit(kernel);
      return;
    case Host::docker: line << "docker run --user=0 --cap-add=" << name; return;
    case Host::podman: line << "podman run --user=0 --cap-add=" << name; return;
    case Host::kubernetes:
      line << "run the container as root, with " << name << " in securityContext.capabilities.add";
      return;
    case Host::shell: line << "start it as root, with CAP_" << name; return;
  }
}

void append_fix(Line& line, const Kernel& kernel, Cause cause, Host host,
                const Outcome& outcome) noexcept {
  line << "; fix: ";
  switch (cause) {
    case Cause::limit:
      if (outcome.limit.hard == RLIM_INFINITY) {
        line << "leave " << kPrefix << "RAISE_LIMIT on";
        return;
      }
      return append_limit_fix(line, kernel, host, outcome.limit);
    case Cause::user_namespace:
      line << "raise the hard limit of whoever creates the user namespace (the user's "
              "LimitMEMLOCK= or limits.conf), beforehand";
      return;
    case Cause::seccomp:
      line << (host == Host::docker    ? "docker run --security-opt seccomp=PROFILE, "
                                         "one that allows mlockall"
               : host == Host::systemd ? "add @memlock to SystemCallFilter="
                                       : "allow mlockall in the filter");
      return;
    case Cause::security_module: line << "allow it the ipc_lock capability in the policy"; return;
    case Cause::memory: line << "more memory, or a larger vm.max_map_count"; return;
    case Cause::kernel: line << "a newer kernel, or one built with CONFIG_MMU"; return;
    case Cause::not_honoured: line << "run it outside of that"; return;
    case Cause::no_proc: line << "mount /proc, or raise the limit"; return;
  }
}

void append_locked(Line& line, const Outcome& outcome) noexcept {
  if (outcome.memory) {
    line << MlockStatus::Locked(outcome.memory->locked).message();
  } else {
    line << "locked (size unknown without /proc)";
  }
  const LockPlan& plan = outcome.plan;
  line << ": " << (plan.current ? (plan.future ? "current and future" : "current") : "future");
  const bool onfault = plan.current ? plan.current_onfault : plan.future_onfault;
  line << (onfault && !outcome.onfault_refused ? ", on-fault" : ", populated");
  if (outcome.io_flusher) {
    line << ", IO flusher";
  }
  if (outcome.realtime != 0) {
    line << ", SCHED_RR " << outcome.realtime;
  }
}

/// What stands behind `locked ...` where there is more to say; false where there is not.
bool append_caveat(Line& line, const Outcome& outcome) noexcept {
  const MemlockLimit& limit = outcome.limit;
  if (outcome.plan.future_withheld) {
    line << "; not future: allocations beyond ";
    append_limit(line, limit);
    append_capability(line << " would fail, and ", Capability::ipc_lock);
    return true;
  }
  if (!outcome.plan.future || limit.infinite()) {
    return false;
  }
  if (limit.exempt) {
    line << "; once CAP_IPC_LOCK is dropped, nothing more is locked, as allocations beyond ";
    append_limit(line, limit);
    line << " would fail";
    return true;
  }
  line << "; allocations beyond ";
  append_limit(line, limit);
  line << " will fail";
  if (outcome.memory) {
    const auto used = outcome.memory->locked;
    line << ", " << (used < limit.soft ? (limit.soft - used) / 1024 : 0) << " KiB are left";
  }
  append_capability(line << ", and ", Capability::ipc_lock);
  return true;
}

Report describe_failure(const Kernel& kernel, const Outcome& outcome, const Settings& settings,
                        Environment environment) noexcept {
  Report report = {.level = settings.required ? LogLevel::error : LogLevel::warn, .text = {}};
  Line& line = report.text;
  const Cause cause = find_cause(kernel, outcome);
  line << (settings.required ? "not locked, and DUENDE_MLOCK_REQUIRED is on: " : "not locked: ");
  if (outcome.failure == Failure::refused) {
    append_flags(line, outcome.flags);
    line << " failed with " << errno_name(outcome.error) << ": ";
  }
  append_cause(line, cause, outcome);
  append_fix(line, kernel, cause, detect_host(kernel, environment), outcome);
  return report;
}

bool exists(const char* path) noexcept { return ::access(path, F_OK) == 0; }

}  // namespace

Host detect_host(const Kernel& kernel, Environment environment) noexcept {
  const detail::ErrnoGuard guard;
  if (environment.get("KUBERNETES_SERVICE_HOST") || exists("/var/run/secrets/kubernetes.io")) {
    return Host::kubernetes;
  }
  if (exists("/run/.containerenv")) {
    return Host::podman;
  }
  if (exists("/.dockerenv")) {
    return Host::docker;
  }
  return systemd_unit(kernel).empty() ? Host::shell : Host::systemd;
}

Report describe(const Kernel& kernel, const Outcome& outcome, const Settings& settings,
                Environment environment) noexcept {
  if (outcome.failure != Failure::none) {
    return describe_failure(kernel, outcome, settings, environment);
  }
  Report report;
  Line& line = report.text;
  if (settings.nothing_to_lock()) {
    line << "nothing to lock: DUENDE_MLOCK_CURRENT and DUENDE_MLOCK_FUTURE are both off";
    return report;
  }
  if (outcome.plan.empty()) {
    line << "nothing locked";
  } else {
    append_locked(line, outcome);
  }
  if (outcome.onfault_refused) {
    report.level = LogLevel::warn;
    line << " (the kernel refused MCL_ONFAULT with EINVAL: Linux 4.4 has it)";
  }
  if (append_caveat(line, outcome)) {
    report.level = LogLevel::warn;
    append_fix(line, kernel, find_cause(kernel, outcome), detect_host(kernel, environment),
               outcome);
  }
  return report;
}

Report describe_refusal(const Kernel& kernel, const Refusal& refusal, const Settings& settings,
                        Environment environment) noexcept {
  Report report = {.level = settings.required ? LogLevel::error : LogLevel::warn, .text = {}};
  Line& line = report.text;
  line << refusal.what << " does not hold"
       << (settings.required ? ", and DUENDE_MLOCK_REQUIRED is on: " : ": ") << refusal.call;
  if (refusal.error == 0) {
    line << " answered 0 without an effect: a sandbox ignores it; fix: run it outside of that";
    return report;
  }
  line << " failed with " << errno_name(refusal.error) << ": ";
  if (refusal.error == EPERM) {
    append_capability(line, refusal.needed);
    append_capability_fix(line, kernel, refusal.needed, detect_host(kernel, environment));
  } else {
    line << "this kernel does not have it; fix: Linux " << refusal.since;
  }
  return report;
}

Report describe_drop(const Kernel& kernel, const Settings& settings,
                     const MemlockLimit& limit) noexcept {
  Report report = {.level = settings.required ? LogLevel::error : LogLevel::warn, .text = {}};
  Line& line = report.text;
  line << "CAP_IPC_LOCK was dropped"
       << (settings.required ? ", and DUENDE_MLOCK_REQUIRED is on" : "")
       << ": what is mapped from now on is not locked, as allocations beyond ";
  append_limit(line, limit);
  line << " would fail";
  append_limit_fix(line << "; fix: ", kernel, detect_host(kernel, Environment(nullptr)), limit);
  return report;
}

}  // namespace duende::mlock::preload
