// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnose.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include <duende/mlock/status.hpp>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

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

constexpr std::string_view name_of(Capability which) noexcept {
  switch (which) {
    case Capability::ipc_lock: return "IPC_LOCK";
    case Capability::sys_nice: return "SYS_NICE";
    default: return "SYS_RESOURCE";
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
  append_kib(line << "RLIMIT_MEMLOCK (", limit.soft);
  if (limit.hard != limit.soft) {
    append_kib(line << ", hard limit ", limit.hard);
  }
  line << ')';
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
  line << "mlockall(";
  if ((flags & detail::kMclCurrent) != 0) {
    line << ((flags & detail::kMclFuture) != 0 ? "MCL_CURRENT|MCL_FUTURE" : "MCL_CURRENT");
  } else {
    line << "MCL_FUTURE";
  }
  line << ((flags & detail::kMclOnfault) != 0 ? "|MCL_ONFAULT)" : ")");
}

/// The unit this process runs in: the last part of its control group. False outside of one.
bool append_unit(Line& line, const Kernel& kernel) noexcept {
  detail::LineReader groups(kernel, "/proc/self/cgroup");
  while (const auto group = groups.next()) {
    const auto manager = detail::after(*group, detail::leading_number(*group).length);
    const bool of_systemd =
        detail::starts_with(manager, "::") || detail::starts_with(manager, ":name=systemd:");
    if (of_systemd && detail::ends_with(*group, ".service")) {
      line << detail::after(*group, group->rfind('/') + 1);
      return true;
    }
  }
  return false;
}

/// The one change here that gives `which` or, in the case of CAP_IPC_LOCK, makes up for it.
void append_grant(Line& line, const Kernel& kernel, Capability which, bool held = false) noexcept {
  const Host host = detect_host(kernel);
  const bool limit = which == Capability::ipc_lock;
  const std::string_view name = limit ? "" : name_of(which);
  switch (host) {
    case Host::systemd:
      // What is not in the bounding set does not become ambient, and systemd does not say so.
      line << (limit                        ? "LimitMEMLOCK=infinity"
               : capability(which).bounding ? "AmbientCapabilities=CAP_"
                                            : "CapabilityBoundingSet=CAP_")
           << name << " in the [Service] section of ";
      append_unit(line, kernel);
      return;
    case Host::docker:
    case Host::podman:
      line << (host == Host::docker ? "docker run " : "podman run ")
           << (limit ? "--ulimit memlock=-1:-1" : "--user=0 --cap-add=") << name;
      return;
    case Host::kubernetes:
      if (held) {
        line << "keep the user root: Kubernetes sets no memlock limit";
        return;
      }
      line << "run the container as root, with " << name_of(which)
           << " in securityContext.capabilities.add";
      return;
    case Host::shell:
      line << (limit ? "`* - memlock unlimited` in /etc/security/limits.conf, and a new login"
                     : "start it as root, with CAP_")
           << name;
      return;
  }
}

/// What would lift the limit.
void append_limit_fix(Line& line, const Kernel& kernel, const MemlockLimit& limit) noexcept {
  const CapabilityState ipc_lock = capability(Capability::ipc_lock);
  line << "; fix: ";
  if (limit.hard == RLIM_INFINITY) {
    line << "leave DUENDE_MLOCK_RAISE_LIMIT on";
  } else if (ipc_lock.effective && ipc_lock.namespaced) {
    line << "raise the hard limit of the user who creates the namespace, beforehand";
  } else {
    append_grant(line, kernel, Capability::ipc_lock, limit.exempt);
  }
}

/// EPERM although the limit would allow it.
void append_policy(Line& line, const Kernel& kernel) noexcept {
  if (!filtered(kernel)) {
    line << "a security module or sandbox refuses it; fix: allow ipc_lock in its policy";
    return;
  }
  line << "a seccomp filter refuses it; fix: ";
  switch (detect_host(kernel)) {
    case Host::systemd: line << "SystemCallFilter=@memlock, beside what is there"; return;
    case Host::docker:
    case Host::podman: line << "--security-opt seccomp=PROFILE, one that allows mlockall"; return;
    case Host::kubernetes: line << "a securityContext.seccompProfile that allows mlockall"; return;
    case Host::shell: line << "allow mlockall in the filter"; return;
  }
}

/// Cause and fix of a call that was refused.
void append_refused(Line& line, const Kernel& kernel, const Outcome& outcome) noexcept {
  append_flags(line, outcome.flags);
  line << " failed with " << errno_name(outcome.error) << ": ";
  const MemlockLimit& limit = outcome.limit;
  const bool none_allowed = limit.capped() && outcome.error == EPERM && limit.soft == 0;
  const bool too_large = limit.capped() && outcome.error == ENOMEM &&
                         !(outcome.memory && outcome.memory->address_space <= limit.soft);
  if (none_allowed || too_large) {
    if (too_large) {
      line << "the address space ";
      if (outcome.memory) {
        line << '(' << outcome.memory->address_space / 1024 << " KiB) ";
      }
      line << "exceeds ";
    }
    append_limit(line, limit);
    append_capability(line << (none_allowed ? " allows no lock, and " : ", and "),
                      Capability::ipc_lock);
    append_limit_fix(line, kernel, limit);
  } else if (outcome.error == EPERM) {
    append_policy(line, kernel);
  } else if (outcome.error == ENOMEM || outcome.error == EAGAIN) {
    line << "no memory left, or more mappings than vm.max_map_count; fix: raise one of them";
  } else {
    line << "this kernel does not have it; fix: a newer kernel";
  }
}

void append_failure(Line& line, const Kernel& kernel, const Outcome& outcome) noexcept {
  switch (outcome.failure) {
    case Failure::not_honoured:
      line << "mlockall answered 0 but VmLck is 0: a sandbox, or a sanitizer the program was "
              "built with, ignores it; fix: run it without";
      return;
    case Failure::stack_lost:
      line << "without /proc/self/maps the stack cannot be left out, and could not grow beyond ";
      append_limit(line, outcome.limit);
      line << "; fix: mount /proc";
      return;
    default: append_refused(line, kernel, outcome); return;
  }
}

void append_locked(Line& line, const Outcome& outcome) noexcept {
  const LockPlan& plan = outcome.plan;
  if (plan.empty()) {
    line << "nothing locked";
    return;
  }
  if (outcome.memory) {
    MlockStatus::Locked(outcome.memory->locked).append_to(line);
  } else {
    line << "locked (size unknown without /proc)";
  }
  line << (plan.current ? ": current" : ": future");
  if (plan.current && plan.future) {
    line << " and future";
  }
  const bool onfault = plan.current ? plan.current_onfault : plan.future_onfault;
  line << (onfault && !outcome.onfault_refused ? ", on-fault" : ", populated");
  if (outcome.io_flusher) {
    line << ", IO flusher";
  }
  if (outcome.realtime != 0) {
    line << ", SCHED_RR " << outcome.realtime;
  }
  if (outcome.onfault_refused) {
    line << " (MCL_ONFAULT was refused with EINVAL: Linux 4.4 has it)";
  }
}

/// What a finite limit means for allocations; false where there is nothing to say.
bool append_caveat(Line& line, const Outcome& outcome) noexcept {
  const LockPlan& plan = outcome.plan;
  const MemlockLimit& limit = outcome.limit;
  if (limit.infinite() || !(plan.future || plan.future_withheld)) {
    return false;
  }
  line << (limit.exempt           ? "; nothing more once CAP_IPC_LOCK is dropped"
           : plan.future_withheld ? "; not future"
                                  : "; the limit binds")
       << ": allocations beyond ";
  append_limit(line, limit);
  line << (plan.future && !limit.exempt ? " fail" : " would fail");
  if (plan.future && !limit.exempt && outcome.memory) {
    const rlim_t used = outcome.memory->locked;
    line << " (" << (used < limit.soft ? (limit.soft - used) / 1024 : 0) << " KiB are left)";
  }
  if (!limit.exempt) {
    append_capability(line << ", and ", Capability::ipc_lock);
  }
  return true;
}

constexpr std::string_view required_note(const Settings& settings) noexcept {
  return settings.required ? ", and DUENDE_MLOCK_REQUIRED is on: " : ": ";
}

constexpr LogLevel failure_level(const Settings& settings) noexcept {
  return settings.required ? LogLevel::error : LogLevel::warn;
}

constinit bool g_in_kubernetes = false;

bool exists(const char* path) noexcept {
  return system_call(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

}  // namespace

void remember_host(Environment environment) noexcept {
  g_in_kubernetes = environment.get("KUBERNETES_SERVICE_HOST").has_value();
}

Host detect_host(const Kernel& kernel) noexcept {
  if (g_in_kubernetes || exists("/var/run/secrets/kubernetes.io")) {
    return Host::kubernetes;
  }
  if (exists("/run/.containerenv")) {
    return Host::podman;
  }
  if (exists("/.dockerenv")) {
    return Host::docker;
  }
  Line unit;
  return append_unit(unit, kernel) ? Host::systemd : Host::shell;
}

void describe(Message& message, const Kernel& kernel, const Outcome& outcome,
              const Settings& settings) noexcept {
  Line& line = message.text;
  if (outcome.failure != Failure::none) {
    message.level = failure_level(settings);
    append_failure(line << "not locked" << required_note(settings), kernel, outcome);
  } else if (settings.nothing_to_lock()) {
    line << "nothing to lock: DUENDE_MLOCK_CURRENT and DUENDE_MLOCK_FUTURE are both off";
  } else {
    append_locked(line, outcome);
    const bool caveat = append_caveat(line, outcome);
    if (caveat) {
      append_limit_fix(line, kernel, outcome.limit);
    }
    message.level = caveat || outcome.onfault_refused ? LogLevel::warn : LogLevel::info;
  }
}

void describe(Message& message, const Kernel& kernel, const Refusal& refusal,
              const Settings& settings) noexcept {
  Line& line = message.text;
  message.level = failure_level(settings);
  line << refusal.what << " does not hold" << required_note(settings) << refusal.call;
  if (refusal.error == 0) {
    line << " answered 0 without an effect: a sandbox ignores it; fix: run it without";
    return;
  }
  line << " failed with " << errno_name(refusal.error) << ": ";
  const CapabilityState state = capability(refusal.needed);
  if (refusal.error == EPERM && refusal.needed == Capability::sys_nice && state.effective &&
      !state.namespaced) {
    // CONFIG_RT_GROUP_SCHED, as in Docker's control groups of version 1; or else a security module.
    line << "cpu.rt_runtime_us of its cgroup is 0; fix: raise it";
  } else if (refusal.error == EPERM) {
    append_capability(line, refusal.needed);
    append_grant(line << "; fix: ", kernel, refusal.needed);
  } else {
    line << "this kernel does not have it; fix: Linux " << refusal.since;
  }
}

void describe_drop(Message& message, const Kernel& kernel, const Settings& settings,
                   const MemlockLimit& limit) noexcept {
  Line& line = message.text;
  message.level = failure_level(settings);
  line << "CAP_IPC_LOCK was dropped" << required_note(settings)
       << "what is mapped from now on is not locked, as allocations beyond ";
  append_limit(line, limit);
  append_limit_fix(line << " would fail", kernel, limit);
}

}  // namespace duende::mlock::preload
