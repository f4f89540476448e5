// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnose.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include <duende/mlock/status.hpp>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

// The longest sentences stand where the linker would leave a page nearly empty (settings.cpp).
[[gnu::section(".data.rel.ro")]] constexpr char kIgnored[] =
    "mlockall answered 0 but VmLck is 0: a sandbox, or a sanitizer the program was built with, "
    "ignores it; fix: run it without";
[[gnu::section(".data.rel.ro")]] constexpr char kInSwap[] =
    "what was swapped out before the lock could not be read back; fix: mount /proc, or start it "
    "when memory is free";
[[gnu::section(".data.rel.ro")]] constexpr char kNoMemory[] =
    "no memory left, or more mappings than vm.max_map_count; fix: raise one of them";
[[gnu::section(".data.rel.ro")]] constexpr char kNothing[] =
    "nothing to lock: DUENDE_MLOCK_CURRENT and DUENDE_MLOCK_FUTURE are both off";
[[gnu::section(".data.rel.ro")]] constexpr char kModule[] =
    "a security module or sandbox refuses it; fix: allow ipc_lock in its policy";
[[gnu::section(".data.rel.ro")]] constexpr char kNoEffect[] =
    " answered 0 without an effect: a sandbox ignores it; fix: run it without";
[[gnu::section(".data.rel.ro")]] constexpr char kBeforehand[] =
    "raise the hard limit of the user who creates the namespace, beforehand";
[[gnu::section(".data.rel.ro")]] constexpr char kThreadsLeft[] =
    " threads of another library came before; fix: start it as `sh -c 'exec PROGRAM'`, which hands "
    "it on";
[[gnu::section(".data.rel.ro")]] constexpr char kLimitsConf[] =
    "`* - memlock unlimited` in /etc/security/limits.conf, and a new login";
[[gnu::section(".data.rel.ro")]] constexpr char kNoChild[] =
    ", and no child could be had to try; fix: allow it one more process";
[[gnu::section(".data.rel.ro")]] constexpr char kFromNowOn[] =
    "what is mapped from now on is not locked, as allocations beyond ";
[[gnu::section(".data.rel.ro")]] constexpr char kOldKernel[] =
    " (MCL_ONFAULT was refused with EINVAL: Linux 4.4 has it)";
[[gnu::section(".data.rel.ro")]] constexpr char kKeepRoot[] =
    "keep the user root: Kubernetes sets no memlock limit";
[[gnu::section(".data.rel.ro")]] constexpr char kSpared[] =
    "the stack cannot be left out, and could not grow beyond ";
[[gnu::section(".data.rel.ro")]] constexpr char kRealtimeGroup[] =
    "cpu.rt_runtime_us of its cgroup is 0; fix: raise it";
[[gnu::section(".data.rel.ro")]] constexpr char kNamespaced[] =
    " does not count: it is held only in a user namespace";
[[gnu::section(".data.rel.ro")]] constexpr char kModuleRefuses[] =
    " is effective, but a security module refuses it";
[[gnu::section(".data.rel.ro")]] constexpr char kNewerKernel[] =
    "this kernel does not have it; fix: a newer kernel";
[[gnu::section(".data.rel.ro")]] constexpr char kProfile[] =
    "--security-opt seccomp=PROFILE, one that allows ";
[[gnu::section(".data.rel.ro")]] constexpr char kPodProfile[] =
    "a securityContext.seccompProfile that allows ";
[[gnu::section(".data.rel.ro")]] constexpr char kOnceDropped[] =
    ", and allocations would fail once it is dropped";
[[gnu::section(".data.rel.ro")]] constexpr char kUntilDropped[] =
    "; nothing more once CAP_IPC_LOCK is dropped";
[[gnu::section(".data.rel.ro")]] constexpr char kNoProc[] =
    "locked (size unknown: /proc cannot be read)";

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

constexpr std::string_view name_of(Reclaim what) noexcept {
  return what == Reclaim::io_flusher ? "IO_FLUSHER" : "REALTIME";
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
    line << (state.namespaced ? kNamespaced : kModuleRefuses);
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

/// The unit that sets the limits here: the last part of the control group or, as no unit exceeds
/// those of the user manager that started it, that manager. False outside of one.
bool append_unit(Line& line, const Kernel& kernel) noexcept {
  detail::LineReader groups(kernel, "/proc/self/cgroup");
  while (const auto group = groups.next()) {
    const auto manager = detail::after(*group, detail::leading_number(*group).length);
    if (!detail::starts_with(manager, "::") && !detail::starts_with(manager, ":name=systemd:")) {
      continue;
    }
    std::string_view unit;  // a user's manager sets the limits of its services
    for (auto rest = manager; !rest.empty() && !detail::starts_with(unit, "user@");
         rest = detail::after(rest, 1)) {
      if (rest.front() == '/') {
        unit = detail::after(rest, 1);
      }
    }
    if (detail::ends_with(manager, ".service")) {
      for (std::size_t i = 0; i < unit.size() && unit[i] != '/'; ++i) {
        line << unit[i];
      }
      return true;
    }
  }
  return false;
}

void append_service(Line& line, const Kernel& kernel) noexcept {
  append_unit(line << " in the [Service] section of ", kernel);
}

/// The one change here that gives `which` or, in the case of CAP_IPC_LOCK, makes up for it.
void append_grant(Line& line, const Kernel& kernel, Capability which, bool held = false) noexcept {
  const Host host = detect_host(kernel);
  const bool limit = which == Capability::ipc_lock;
  const std::string_view name = limit ? "" : name_of(which);
  const CapabilityState state = limit ? CapabilityState() : capability(which);
  switch (host) {
    case Host::systemd:
      if (state.namespaced) {
        append_service(line << "PrivateUsers=no", kernel);
        return;
      }
      // What is not in the bounding set does not become ambient, and systemd does not say so.
      line << (limit            ? "LimitMEMLOCK=infinity"
               : state.bounding ? "AmbientCapabilities=CAP_"
                                : "CapabilityBoundingSet=CAP_")
           << name;
      append_service(line, kernel);
      return;
    case Host::docker:
    case Host::podman:
      line << (host == Host::docker ? "docker run " : "podman run ")
           << (limit ? "--ulimit memlock=-1:-1" : "--user=0 --cap-add=") << name;
      return;
    case Host::kubernetes:
      if (held) {
        line << kKeepRoot;
        return;
      }
      line << "run the container as root, with " << name_of(which)
           << " in securityContext.capabilities.add";
      return;
    case Host::shell: line << (limit ? kLimitsConf : "start it as root, with CAP_") << name; return;
  }
}

/// What would lift the limit.
void append_limit_fix(Line& line, const Kernel& kernel, const MemlockLimit& limit) noexcept {
  const CapabilityState ipc_lock = capability(Capability::ipc_lock);
  line << "; fix: ";
  if (limit.hard == RLIM_INFINITY) {
    line << "leave DUENDE_MLOCK_RAISE_LIMIT on";
  } else if (ipc_lock.effective && ipc_lock.namespaced && detect_host(kernel) != Host::systemd) {
    line << kBeforehand;
  } else {
    append_grant(line, kernel, Capability::ipc_lock, limit.exempt);
  }
}

/// What lets a call through, `group` being what systemd has it in.
void append_filter_fix(Line& line, const Kernel& kernel, std::string_view call,
                       std::string_view group) noexcept {
  line << "; fix: ";
  switch (detect_host(kernel)) {
    case Host::systemd: line << "SystemCallFilter=" << group << ", beside what is there"; return;
    case Host::docker:
    case Host::podman: line << kProfile << call; return;
    case Host::kubernetes: line << kPodProfile << call; return;
    case Host::shell: line << "allow " << call << " in the filter"; return;
  }
}

/// Where the call is not even made. False where it is.
bool append_killer(Line& line, const Kernel& kernel, long number, std::string_view call,
                   std::string_view group) noexcept {
  if (may_call(number)) {
    return false;
  }
  if (filter() == Filter::untried) {
    line << "a seccomp filter may kill for " << call << kNoChild;
    return true;
  }
  append_filter_fix(line << "a seccomp filter kills for " << call, kernel, call, group);
  return true;
}

/// Whether that is what a filter answers, rather than the kernel.
bool is_filtered(const Kernel& kernel, long number, int error) noexcept {
  return (error == EPERM || error == ENOSYS || error == EACCES) &&
         filtered(kernel).value_or(false) && filter_answers(number);
}

/// Cause and fix of a call that was refused.
void append_refused(Line& line, const Kernel& kernel, const Outcome& outcome) noexcept {
  if (append_killer(line, kernel, SYS_mlockall, "mlockall", "@memlock") ||
      append_killer(line, kernel, SYS_munlockall, "munlockall", "@memlock")) {
    return;
  }
  append_flags(line, outcome.flags);
  line << " failed with " << errno_name(outcome.error) << ": ";
  const MemlockLimit& limit = outcome.limit;
  if (is_filtered(kernel, SYS_mlockall, outcome.error)) {
    append_filter_fix(line << "a seccomp filter refuses it", kernel, "mlockall", "@memlock");
    return;
  }
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
    line << kModule;
  } else if (outcome.error == ENOMEM || outcome.error == EAGAIN) {
    line << kNoMemory;
  } else {
    line << kNewerKernel;
  }
}

void append_failure(Line& line, const Kernel& kernel, const Outcome& outcome) noexcept {
  switch (outcome.failure) {
    case Failure::not_honoured: line << kIgnored; return;
    case Failure::stack_lost:
      if (append_killer(line, kernel, SYS_munlock, "munlock", "@memlock") ||
          append_killer(line, kernel, SYS_mincore, "mincore", "mincore")) {
        return;
      }
      line << kSpared;
      append_limit(line, outcome.limit);
      append_limit_fix(line, kernel, outcome.limit);
      return;
    case Failure::in_swap: line << kInSwap; return;
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
    line << kNoProc;
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
    line << kOldKernel;
  }
}

/// What a finite limit means for allocations; how loud that is, or `off` where there is nothing to
/// say. What merely may happen, once the daemon drops its capability, is no reason to warn.
LogLevel append_caveat(Line& line, const Kernel& kernel, const Outcome& outcome) noexcept {
  const LockPlan& plan = outcome.plan;
  const MemlockLimit& limit = outcome.limit;
  if (limit.infinite() || !(plan.future || plan.future_withheld)) {
    return LogLevel::off;
  }
  if (limit.exempt && plan.future_withheld) {
    append_limit(line << "; not future: only CAP_IPC_LOCK lifts ", limit);
    append_limit_fix(line << kOnceDropped, kernel, limit);
    line << ", or DUENDE_MLOCK_FUTURE=1";
    return LogLevel::info;
  }
  line << (limit.exempt           ? kUntilDropped
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
  append_limit_fix(line, kernel, limit);
  return limit.exempt ? LogLevel::info : LogLevel::warn;
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
    line << kNothing;
  } else {
    append_locked(line, outcome);
    const LogLevel caveat = append_caveat(line, kernel, outcome);
    message.level =
        caveat == LogLevel::warn || outcome.onfault_refused ? LogLevel::warn : LogLevel::info;
  }
}

void describe(Message& message, const Kernel& kernel, const Refusal& refusal,
              const Settings& settings) noexcept {
  Line& line = message.text;
  const auto [what, error] = refusal;
  const bool flusher = what == Reclaim::io_flusher;
  const long number = flusher ? SYS_prctl : SYS_sched_setscheduler;
  const std::string_view call = flusher ? "prctl" : "sched_setscheduler";
  const Capability needed = flusher ? Capability::sys_resource : Capability::sys_nice;
  message.level = failure_level(settings);
  line << name_of(what) << " does not hold" << required_note(settings);
  if (append_killer(line, kernel, number, call, call)) {
    return;
  }
  line << call << (flusher ? "(PR_SET_IO_FLUSHER)" : "(SCHED_RR)");
  if (error == 0) {
    line << kNoEffect;
    return;
  }
  line << " failed with " << errno_name(error) << ": ";
  const CapabilityState state = capability(needed);
  if (is_filtered(kernel, number, error)) {
    line << "a seccomp filter refuses ";
    // RestrictRealtime= of systemd.exec(5) lets SCHED_OTHER through.
    if (!flusher && detect_host(kernel) == Host::systemd &&
        system_call(SYS_sched_setscheduler, 0, SCHED_OTHER, nullptr) == -1 && errno == EINVAL) {
      append_service(line << "real-time policies; fix: RestrictRealtime=no", kernel);
    } else {
      append_filter_fix(line << "it", kernel, call, call);
    }
  } else if (error == EPERM && !flusher && state.effective && !state.namespaced) {
    // CONFIG_RT_GROUP_SCHED, as in Docker's control groups of version 1; or else a security module.
    line << kRealtimeGroup;
  } else if (error == EPERM) {
    append_capability(line, needed);
    append_grant(line << "; fix: ", kernel, needed);
  } else {
    line << "this kernel does not have it; fix: Linux " << (flusher ? "5.6" : "2.0");
  }
}

void describe_threads(Message& message, unsigned left, const Settings& settings) noexcept {
  if (left == 0) {
    return;
  }
  message.level = failure_level(settings);
  message.text << name_of(settings.io_flusher ? Reclaim::io_flusher : Reclaim::realtime)
               << " does not hold" << required_note(settings) << left << kThreadsLeft;
}

void describe_loss(Message& message, const Kernel& kernel, const Settings& settings,
                   const MemlockLimit& limit, bool lowered) noexcept {
  Line& line = message.text;
  message.level = failure_level(settings);
  line << (lowered ? "RLIMIT_MEMLOCK was lowered" : "CAP_IPC_LOCK was dropped")
       << required_note(settings) << kFromNowOn;
  append_limit(line, limit);
  append_limit_fix(line << " would fail", kernel, limit);
}

}  // namespace duende::mlock::preload
