// SPDX-License-Identifier: MIT OR Apache-2.0
// An outcome in words: the whole line for every failure, errno, limit, capability and host.
#include "preload/diagnose.hpp"

#include <sys/syscall.h>
#include <cerrno>
#include <string>
#include <utility>

#include "doctest.hpp"
#include "environment_block.hpp"
#include "fake_kernel.hpp"
#include "preload/command/explanations.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::detail::kMclCurrent;
using duende::mlock::detail::kMclFuture;
using duende::mlock::detail::kMclOnfault;
using duende::mlock::detail::MemoryUse;
using duende::mlock::test::EnvironmentBlock;
using duende::mlock::test::FakeKernel;

// One outcome and its surroundings. As constructed: everything locked on fault, no limit.
struct Scene {
  Settings settings;
  Outcome outcome = {
      .plan = {.current = true, .current_onfault = true, .future = true, .future_onfault = true},
      .limit = {},
      .flags = kMclCurrent | kMclFuture | kMclOnfault,
      .memory = MemoryUse{.address_space = 20480 * 1024, .locked = 9000 * 1024}};
  CapabilityState ipc_lock;
  const char* seccomp = "0";
  int filter_answer = 0;  // to mlockall; 0: the kernel answers
  std::string marker;     // a file that tells the host
  std::string cgroup;
};

/// Whatever is said, the manual explains.
Message explained(const Message& message) {
  CAPTURE(message.text.c_str());
  CHECK(duende::mlock::command::explanation_of(message.text.view()) != nullptr);
  return message;
}

/// What `describe` makes of its arguments.
template <class... Arguments>
Message described(const Arguments&... arguments) {
  Message message;
  describe(message, arguments...);
  return explained(message);
}

Message dropped(const Kernel& kernel, const Settings& settings, const MemlockLimit& limit) {
  Message message;
  describe_loss(message, kernel, settings, limit, false);
  return explained(message);
}

Message report(const Scene& scene) {
  FakeKernel kernel;
  kernel.capabilities[Capability::ipc_lock] = scene.ipc_lock;
  kernel.files["/proc/self/status"].contents =
      "Name:\td\nSeccomp:\t" + std::string(scene.seccomp) + "\nSeccomp_filters:\t2\n";
  if (scene.filter_answer != 0) {
    kernel.filter_answers[SYS_mlockall] = scene.filter_answer;
  }
  if (!scene.marker.empty()) {
    kernel.files[scene.marker].contents = "";
  }
  if (!scene.cgroup.empty()) {
    kernel.files["/proc/self/cgroup"].contents = scene.cgroup;
  }
  return described<Kernel>(kernel, scene.outcome, scene.settings);
}

constexpr CapabilityState kNothing = {};
constexpr CapabilityState kBounding = {.bounding = true};
constexpr CapabilityState kPermitted = {.permitted = true, .bounding = true};
constexpr CapabilityState kEffective = {.effective = true, .permitted = true, .bounding = true};
constexpr CapabilityState kNamespaced = {
    .effective = true, .permitted = true, .bounding = true, .namespaced = true};

constexpr rlim_t kMiB = 1U << 20U;
constexpr MemlockLimit kZero = {.soft = 0, .hard = 0};
constexpr MemlockLimit kZeroSoft = {.soft = 0, .hard = 8 * kMiB};
constexpr MemlockLimit kEight = {.soft = 8 * kMiB, .hard = 8 * kMiB};
constexpr MemlockLimit kEightSoft = {.soft = 8 * kMiB, .hard = RLIM_INFINITY};
constexpr MemlockLimit kHuge = {.soft = 1024 * kMiB, .hard = 1024 * kMiB};
constexpr MemlockLimit kExempt = {.soft = 8 * kMiB, .hard = 8 * kMiB, .exempt = true};

Scene failed(Failure failure, int error, const MemlockLimit& limit,
             CapabilityState ipc_lock = kNothing) {
  Scene scene;
  scene.outcome.failure = failure;
  scene.outcome.error = error;
  scene.outcome.limit = limit;
  scene.ipc_lock = ipc_lock;
  return scene;
}

Scene refused(int error, const MemlockLimit& limit, CapabilityState ipc_lock = kNothing) {
  return failed(Failure::refused, error, limit, ipc_lock);
}

Scene locked(const LockPlan& plan, const MemlockLimit& limit = {}) {
  Scene scene;
  scene.outcome.plan = plan;
  scene.outcome.limit = limit;
  return scene;
}

/// `scene` with one thing changed.
template <class Change>
Scene with(Scene scene, Change change) {
  change(scene);
  return scene;
}

/// A filter answers instead of the kernel.
Scene filtered(Scene scene) {
  scene.seccomp = "2";
  scene.filter_answer = scene.outcome.error;
  return scene;
}

// What recurs in the lines.
const std::string kCall = "not locked: mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT) failed with ";
const std::string kTooLarge =
    "ENOMEM: the address space (20480 KiB) exceeds RLIMIT_MEMLOCK (8192 KiB), and ";
const std::string kLimitsConf =
    "; fix: `* - memlock unlimited` in /etc/security/limits.conf, and a new login";
const std::string kAbsent = "CAP_IPC_LOCK is not in the bounding set";
const std::string kOuterLimit =
    "; fix: raise the hard limit of the user who creates the namespace, beforehand";
const std::string kNoMemory =
    "no memory left, or more mappings than vm.max_map_count; fix: raise one of them";

struct Row {
  const char* name;
  Scene scene;
  LogLevel level;
  std::string text;
};

constexpr LockPlan kAll = {
    .current = true, .current_onfault = true, .future = true, .future_onfault = true};
constexpr LockPlan kWithheld = {
    .current = true, .current_onfault = true, .spare_growth = true, .future_withheld = true};

const Row kLockedRows[] = {
    {"the default", locked(kAll), LogLevel::info, "locked (8 MB): current and future, on-fault"},
    {"populated", locked({.current = true, .future = true}), LogLevel::info,
     "locked (8 MB): current and future, populated"},
    {"current", locked({.current = true}), LogLevel::info, "locked (8 MB): current, populated"},
    {"current on fault", locked({.current = true, .current_onfault = true}), LogLevel::info,
     "locked (8 MB): current, on-fault"},
    {"future", locked({.future = true}), LogLevel::info, "locked (8 MB): future, populated"},
    {"future on fault", locked({.future = true, .future_onfault = true}), LogLevel::info,
     "locked (8 MB): future, on-fault"},
    {"against reclaim as well",
     with(locked(kAll),
          [](Scene& scene) {
            scene.outcome.io_flusher = true;
            scene.outcome.realtime = 7;
          }),
     LogLevel::info, "locked (8 MB): current and future, on-fault, IO flusher, SCHED_RR 7"},
    {"no /proc", with(locked(kAll), [](Scene& scene) { scene.outcome.memory.reset(); }),
     LogLevel::info, "locked (size unknown: /proc cannot be read): current and future, on-fault"},
    {"on-fault refused",
     with(locked(kAll), [](Scene& scene) { scene.outcome.onfault_refused = true; }), LogLevel::warn,
     "locked (8 MB): current and future, populated "
     "(MCL_ONFAULT was refused with EINVAL: Linux 4.4 has it)"},
    {"nothing asked for",
     with(locked({}), [](Scene& scene) { scene.settings.current = scene.settings.future = false; }),
     LogLevel::info, "nothing to lock: DUENDE_MLOCK_CURRENT and DUENDE_MLOCK_FUTURE are both off"},
    {"exempt from a limit", locked(kAll, kExempt), LogLevel::info,
     "locked (8 MB): current and future, on-fault; nothing more once CAP_IPC_LOCK is dropped: "
     "allocations beyond RLIMIT_MEMLOCK (8192 KiB) would fail" +
         kLimitsConf},
    {"exempt from a limit, and future withheld", locked(kWithheld, kExempt), LogLevel::info,
     "locked (8 MB): current, on-fault; not future: only CAP_IPC_LOCK lifts RLIMIT_MEMLOCK (8192 "
     "KiB), and allocations would fail once it is dropped" +
         kLimitsConf + ", or DUENDE_MLOCK_FUTURE=1"},
    {"future withheld", locked(kWithheld, kEight), LogLevel::warn,
     "locked (8 MB): current, on-fault; not future: allocations beyond RLIMIT_MEMLOCK (8192 KiB) "
     "would fail, and " +
         kAbsent + kLimitsConf},
    {"future withheld, and nothing else asked for", locked({.future_withheld = true}, kEight),
     LogLevel::warn,
     "nothing locked; not future: allocations beyond RLIMIT_MEMLOCK (8192 KiB) would fail, and " +
         kAbsent + kLimitsConf},
    {"as told under a limit, and used up", locked(kAll, kEight), LogLevel::warn,
     "locked (8 MB): current and future, on-fault; the limit binds: allocations beyond "
     "RLIMIT_MEMLOCK (8192 KiB) fail (0 KiB are left), and " +
         kAbsent + kLimitsConf},
    {"as told under a limit", locked(kAll, kHuge), LogLevel::warn,
     "locked (8 MB): current and future, on-fault; the limit binds: allocations beyond "
     "RLIMIT_MEMLOCK "
     "(1048576 KiB) fail (1039576 KiB are left), and " +
         kAbsent + kLimitsConf},
    {"as told under a limit that RAISE_LIMIT=0 left",
     with(locked(kAll, kEightSoft), [](Scene& scene) { scene.outcome.memory.reset(); }),
     LogLevel::warn,
     "locked (size unknown: /proc cannot be read): current and future, on-fault; the limit binds: "
     "allocations "
     "beyond RLIMIT_MEMLOCK (8192 KiB, hard limit infinite) fail, and " +
         kAbsent + "; fix: leave DUENDE_MLOCK_RAISE_LIMIT on"},
    {"future withheld in a user namespace",
     with(locked(kWithheld, kEight), [](Scene& scene) { scene.ipc_lock = kNamespaced; }),
     LogLevel::warn,
     "locked (8 MB): current, on-fault; not future: allocations beyond RLIMIT_MEMLOCK (8192 KiB) "
     "would fail, and CAP_IPC_LOCK does not count: it is held only in a user namespace" +
         kOuterLimit},
    {"current alone under a limit is no reason to warn", locked({.current = true}, kEight),
     LogLevel::info, "locked (8 MB): current, populated"},
};

const Row kFailureRows[] = {
    {"EPERM: the limit is 0", refused(EPERM, kZero), LogLevel::warn,
     kCall + "EPERM: RLIMIT_MEMLOCK (0 KiB) allows no lock, and " + kAbsent + kLimitsConf},
    {"EPERM: the soft limit is 0", refused(EPERM, kZeroSoft), LogLevel::warn,
     kCall + "EPERM: RLIMIT_MEMLOCK (0 KiB, hard limit 8192 KiB) allows no lock, and " + kAbsent +
         kLimitsConf},
    {"EPERM: the limit is 0 in a user namespace", refused(EPERM, kZero, kNamespaced),
     LogLevel::warn,
     kCall +
         "EPERM: RLIMIT_MEMLOCK (0 KiB) allows no lock, and CAP_IPC_LOCK does not count: it is "
         "held only in a user "
         "namespace" +
         kOuterLimit},
    {"EPERM with a limit: seccomp", filtered(refused(EPERM, kEight)), LogLevel::warn,
     kCall + "EPERM: a seccomp filter refuses it; fix: allow mlockall in the filter"},
    {"EPERM without a limit to speak of: seccomp comes first", filtered(refused(EPERM, kZero)),
     LogLevel::warn,
     kCall + "EPERM: a seccomp filter refuses it; fix: allow mlockall in the filter"},
    {"ENOSYS: seccomp", filtered(refused(ENOSYS, {})), LogLevel::warn,
     kCall + "ENOSYS: a seccomp filter refuses it; fix: allow mlockall in the filter"},
    {"EPERM with a limit: a filter that lets it through",
     with(refused(EPERM, kEight), [](Scene& scene) { scene.seccomp = "2"; }), LogLevel::warn,
     kCall + "EPERM: a security module or sandbox refuses it; fix: allow ipc_lock in its policy"},
    {"EPERM with a limit: strict seccomp is no filter",
     with(refused(EPERM, kEight), [](Scene& scene) { scene.seccomp = "1"; }), LogLevel::warn,
     kCall + "EPERM: a security module or sandbox refuses it; fix: allow ipc_lock in its policy"},
    {"EPERM without a limit: a security module", refused(EPERM, {}), LogLevel::warn,
     kCall + "EPERM: a security module or sandbox refuses it; fix: allow ipc_lock in its policy"},
    {"ENOMEM: larger than the limit", refused(ENOMEM, kEight), LogLevel::warn,
     kCall + kTooLarge + kAbsent + kLimitsConf},
    {"ENOMEM: a capability in the bounding set", refused(ENOMEM, kEight, kBounding), LogLevel::warn,
     kCall + kTooLarge + "CAP_IPC_LOCK is in the bounding set but not effective" + kLimitsConf},
    {"ENOMEM: a permitted capability", refused(ENOMEM, kEight, kPermitted), LogLevel::warn,
     kCall + kTooLarge + "CAP_IPC_LOCK is permitted but not effective" + kLimitsConf},
    {"ENOMEM: an effective capability", refused(ENOMEM, kEight, kEffective), LogLevel::warn,
     kCall + kTooLarge + "CAP_IPC_LOCK is effective, but a security module refuses it" +
         kLimitsConf},
    {"ENOMEM: root of a user namespace", refused(ENOMEM, kEight, kNamespaced), LogLevel::warn,
     kCall + kTooLarge + "CAP_IPC_LOCK does not count: it is held only in a user namespace" +
         kOuterLimit},
    {"ENOMEM: a hard limit that RAISE_LIMIT=0 left", refused(ENOMEM, kEightSoft), LogLevel::warn,
     kCall +
         "ENOMEM: the address space (20480 KiB) exceeds RLIMIT_MEMLOCK (8192 KiB, hard limit "
         "infinite), and " +
         kAbsent + "; fix: leave DUENDE_MLOCK_RAISE_LIMIT on"},
    {"ENOMEM under a limit, no /proc",
     with(refused(ENOMEM, kEight), [](Scene& scene) { scene.outcome.memory.reset(); }),
     LogLevel::warn,
     kCall + "ENOMEM: the address space exceeds RLIMIT_MEMLOCK (8192 KiB), and " + kAbsent +
         kLimitsConf},
    {"ENOMEM within the limit", refused(ENOMEM, kHuge), LogLevel::warn,
     kCall + "ENOMEM: " + kNoMemory},
    {"ENOMEM without a limit", refused(ENOMEM, {}), LogLevel::warn, kCall + "ENOMEM: " + kNoMemory},
    {"ENOMEM exempt from the limit", refused(ENOMEM, kExempt, kEffective), LogLevel::warn,
     kCall + "ENOMEM: " + kNoMemory},
    {"EAGAIN", refused(EAGAIN, {}), LogLevel::warn, kCall + "EAGAIN: " + kNoMemory},
    {"EINVAL", refused(EINVAL, {}), LogLevel::warn,
     kCall + "EINVAL: this kernel does not have it; fix: a newer kernel"},
    {"ENOSYS", refused(ENOSYS, {}), LogLevel::warn,
     kCall + "ENOSYS: this kernel does not have it; fix: a newer kernel"},
    {"any other errno", refused(EIO, {}), LogLevel::warn,
     kCall + "an unexpected errno: this kernel does not have it; fix: a newer kernel"},
    {"not honoured", failed(Failure::not_honoured, 0, {}), LogLevel::warn,
     "not locked: mlockall answered 0 but VmLck is 0: a sandbox, or a sanitizer the program was "
     "built with, ignores it; fix: run it without"},
    {"the stack lost", failed(Failure::stack_lost, 0, kEight), LogLevel::warn,
     "not locked: the stack cannot be left out, and could not grow "
     "beyond RLIMIT_MEMLOCK (8192 KiB)" +
         kLimitsConf},
    {"in swap", failed(Failure::in_swap, 0, {}), LogLevel::warn,
     "not locked: what was swapped out before the lock could not be read back; fix: mount /proc, "
     "or "
     "start it when memory is free"},
    {"required",
     with(refused(ENOMEM, kEight), [](Scene& scene) { scene.settings.required = true; }),
     LogLevel::error,
     "not locked, and DUENDE_MLOCK_REQUIRED is on: "
     "mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT) failed with " +
         kTooLarge + kAbsent + kLimitsConf},
    {"the flags of the call that failed",
     with(refused(ENOMEM, {}), [](Scene& scene) { scene.outcome.flags = kMclFuture; }),
     LogLevel::warn, "not locked: mlockall(MCL_FUTURE) failed with ENOMEM: " + kNoMemory},
};

void check(const Row& row) {
  CAPTURE(row.name);
  const Message result = report(row.scene);
  CHECK(std::string(result.text.view()) == row.text);
  CHECK(result.level == row.level);
  CHECK_FALSE(result.text.truncated());
}

TEST_CASE("what is locked, and what to know about it") {
  for (const Row& row : kLockedRows) {
    check(row);
  }
}

TEST_CASE("every failure with its cause and its fix") {
  for (const Row& row : kFailureRows) {
    check(row);
  }
}

// Where the limit is set: told by a file, or by the control group.
struct HostRow {
  const char* name;
  const char* marker;
  const char* cgroup;
  Host host;
  std::string limit_fix;
  std::string exempt_fix;
  std::string seccomp_fix;
};

const std::string kShellFix = kLimitsConf;
const std::string kFilterFix = "; fix: allow mlockall in the filter";
const std::string kProfileFix = "; fix: --security-opt seccomp=PROFILE, one that allows mlockall";
const std::string kPodFix =
    "; fix: run the container as root, with IPC_LOCK in securityContext.capabilities.add";
const std::string kPodRootFix = "; fix: keep the user root: Kubernetes sets no memlock limit";
const std::string kUnitFix =
    "; fix: LimitMEMLOCK=infinity in the [Service] section of nbd-server@1.service";
const std::string kManagerFix =
    "; fix: LimitMEMLOCK=infinity in the [Service] section of user@1000.service";
const std::string kUnitFilterFix = "; fix: SystemCallFilter=@memlock, beside what is there";

const HostRow kHosts[] = {
    {"a shell", "", "0::/user.slice/user-1000.slice/session-2.scope\n", Host::shell, kShellFix,
     kShellFix, kFilterFix},
    {"no cgroups at all", "", "", Host::shell, kShellFix, kShellFix, kFilterFix},
    {"a unit", "", "0::/system.slice/nbd-server@1.service\n", Host::systemd, kUnitFix, kUnitFix,
     kUnitFilterFix},
    {"a unit of cgroup v1", "",
     "12:cpu:/x.service\n9:name=systemd:/system.slice/nbd-server@1.service\n", Host::systemd,
     kUnitFix, kUnitFix, kUnitFilterFix},
    {"a unit of a user's manager, which no limit of it exceeds", "",
     "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", Host::systemd,
     kManagerFix, kManagerFix, kUnitFilterFix},
    {"a control group of another manager", "", "1:name=openrc:/x.service\n3:cpu:/y.service\n",
     Host::shell, kShellFix, kShellFix, kFilterFix},
    {"docker", "/.dockerenv", "0::/system.slice/docker.service\n", Host::docker,
     "; fix: docker run --ulimit memlock=-1:-1", "; fix: docker run --ulimit memlock=-1:-1",
     kProfileFix},
    {"podman", "/run/.containerenv", "", Host::podman, "; fix: podman run --ulimit memlock=-1:-1",
     "; fix: podman run --ulimit memlock=-1:-1", kProfileFix},
    {"kubernetes", "/var/run/secrets/kubernetes.io", "", Host::kubernetes, kPodFix, kPodRootFix,
     "; fix: a securityContext.seccompProfile that allows mlockall"},
};

std::string fix_of(const Scene& scene) {
  const std::string text(report(scene).text.view());
  const std::size_t fix = text.find("; fix: ");
  return fix == std::string::npos ? text : text.substr(fix);
}

TEST_CASE("the fix is the one that fits where the process runs") {
  for (const HostRow& row : kHosts) {
    CAPTURE(row.name);
    const auto there = [&](Scene scene) {
      scene.marker = row.marker;
      scene.cgroup = row.cgroup;
      return scene;
    };
    CHECK(fix_of(there(refused(ENOMEM, kEight))) == row.limit_fix);
    CHECK(fix_of(there(locked(kAll, kExempt))) == row.exempt_fix);
    CHECK(fix_of(there(filtered(refused(EPERM, kEight)))) == row.seccomp_fix);
  }
}

TEST_CASE("the host is told by files, the environment and the control group, in this order") {
  for (const HostRow& row : kHosts) {
    CAPTURE(row.name);
    FakeKernel kernel;
    if (*row.marker != '\0') {
      kernel.files[row.marker].contents = "";
    }
    kernel.files["/proc/self/cgroup"].contents = row.cgroup;
    CHECK(detect_host(kernel) == row.host);
    const EnvironmentBlock pod({"KUBERNETES_SERVICE_HOST=10.0.0.1"});
    remember_host(pod);
    CHECK(detect_host(kernel) == Host::kubernetes);
    remember_host(Environment(nullptr));
  }
}

struct RefusalRow {
  const char* name;
  Refusal refusal;
  CapabilityState state;
  const char* marker;
  bool required;
  std::string text;
};

Refusal refusal(int error, Reclaim what = Reclaim::io_flusher) { return {what, error}; }
Capability needed(const Refusal& refusal) {
  return refusal.what == Reclaim::io_flusher ? Capability::sys_resource : Capability::sys_nice;
}

const std::string kRefused = "IO_FLUSHER does not hold: prctl(PR_SET_IO_FLUSHER) ";

const std::string kNotRealtime = "REALTIME does not hold: sched_setscheduler(SCHED_RR) ";

const RefusalRow kRefusals[] = {
    {"no capability", refusal(EPERM), kNothing, "", false,
     kRefused + "failed with EPERM: CAP_SYS_RESOURCE is not in the bounding set; "
                "fix: start it as root, with CAP_SYS_RESOURCE"},
    {"another capability", refusal(EPERM, Reclaim::realtime), kBounding, "", false,
     kNotRealtime + "failed with EPERM: CAP_SYS_NICE is in the bounding set but not effective; "
                    "fix: start it as root, with CAP_SYS_NICE"},
    {"permitted", refusal(EPERM), kPermitted, "/.dockerenv", false,
     kRefused + "failed with EPERM: CAP_SYS_RESOURCE is permitted but not effective; "
                "fix: docker run --user=0 --cap-add=SYS_RESOURCE"},
    {"effective", refusal(EPERM), kEffective, "/run/.containerenv", false,
     kRefused + "failed with EPERM: CAP_SYS_RESOURCE is effective, but a security module refuses "
                "it; fix: podman run --user=0 --cap-add=SYS_RESOURCE"},
    {"effective, real-time", refusal(EPERM, Reclaim::realtime), kEffective, "/.dockerenv", false,
     kNotRealtime + "failed with EPERM: cpu.rt_runtime_us of its cgroup is 0; fix: raise it"},
    {"in a user namespace", refusal(EPERM), kNamespaced, "/var/run/secrets/kubernetes.io", false,
     kRefused + "failed with EPERM: CAP_SYS_RESOURCE does not count: it is held only in a user "
                "namespace; fix: run the container as root, with SYS_RESOURCE in "
                "securityContext.capabilities.add"},
    {"an old kernel", refusal(EINVAL), kNothing, "", false,
     kRefused + "failed with EINVAL: this kernel does not have it; fix: Linux 5.6"},
    {"no effect", refusal(0), kNothing, "", false,
     kRefused + "answered 0 without an effect: a sandbox ignores it; fix: run it without"},
    {"required", refusal(EINVAL), kNothing, "", true,
     "IO_FLUSHER does not hold, and DUENDE_MLOCK_REQUIRED is on: prctl(PR_SET_IO_FLUSHER) failed "
     "with EINVAL: this kernel does not have it; fix: Linux 5.6"},
};

TEST_CASE("a unit that takes a capability away has to be given it before it can be ambient") {
  const std::pair<CapabilityState, std::string> rows[] = {
      {kBounding,
       "; fix: AmbientCapabilities=CAP_SYS_RESOURCE in the [Service] section of x.service"},
      {kNothing,
       "; fix: CapabilityBoundingSet=CAP_SYS_RESOURCE in the [Service] section of x.service"},
  };
  for (const auto& [state, fix] : rows) {
    FakeKernel kernel;
    kernel.capabilities[Capability::sys_resource] = state;
    kernel.files["/proc/self/cgroup"].contents = "0::/system.slice/x.service\n";
    const Message result = described<Kernel>(kernel, refusal(EPERM), Settings());
    CHECK(std::string(result.text.view()).ends_with(fix));
  }
}

TEST_CASE("a filter on what does not hold beside the lock") {
  struct {
    Reclaim what;
    long number;
    bool realtime_alone;
    const char* cgroup;
    std::string text;
  } const rows[] = {
      {Reclaim::io_flusher, SYS_prctl, false, "",
       kRefused + "failed with EPERM: a seccomp filter refuses it; fix: allow prctl in the filter"},
      {Reclaim::realtime, SYS_sched_setscheduler, false, "0::/system.slice/x.service\n",
       kNotRealtime + "failed with EPERM: a seccomp filter refuses it; fix: "
                      "SystemCallFilter=sched_setscheduler, beside what is there"},
      {Reclaim::realtime, SYS_sched_setscheduler, true, "0::/system.slice/x.service\n",
       kNotRealtime + "failed with EPERM: a seccomp filter refuses real-time policies; fix: "
                      "RestrictRealtime=no in the [Service] section of x.service"},
      {Reclaim::realtime, SYS_sched_setscheduler, true, "",
       kNotRealtime + "failed with EPERM: a seccomp filter refuses it; fix: allow "
                      "sched_setscheduler in the filter"},
  };
  for (const auto& row : rows) {
    FakeKernel kernel;
    kernel.files["/proc/self/status"].contents = "Seccomp:\t2\n";
    kernel.files["/proc/self/cgroup"].contents = row.cgroup;
    kernel.filter_answers[row.number] = EPERM;
    kernel.lets_other_policies_through = row.realtime_alone;
    kernel.capabilities[Capability::sys_nice] = kEffective;
    const Message result = described<Kernel>(kernel, refusal(EPERM, row.what), Settings());
    CHECK(std::string(result.text.view()) == row.text);
  }
}

TEST_CASE("a capability that only a user namespace of the unit gives") {
  FakeKernel kernel;
  kernel.capabilities[Capability::sys_resource] = kNamespaced;
  kernel.capabilities[Capability::ipc_lock] = kNamespaced;
  kernel.files["/proc/self/cgroup"].contents = "0::/system.slice/x.service\n";
  const Message result = described<Kernel>(kernel, refusal(EPERM), Settings());
  CHECK(std::string(result.text.view()) ==
        kRefused +
            "failed with EPERM: CAP_SYS_RESOURCE does not count: it is held only in a user "
            "namespace; fix: PrivateUsers=no in the [Service] section of x.service");
}

TEST_CASE("a limit binds in a unit's user namespace as outside, and is the unit's to raise") {
  Scene scene = refused(ENOMEM, kEight, kNamespaced);
  scene.cgroup = "0::/system.slice/nbd-server@1.service\n";
  CHECK(fix_of(scene) == kUnitFix);
}

TEST_CASE("threads that were there before") {
  Settings settings;
  settings.io_flusher = true;
  Message message;
  describe_threads(message, 0, settings);
  CHECK(message.text.empty());
  describe_threads(message, 2, settings);
  CHECK(std::string(message.text.view()) ==
        "IO_FLUSHER does not hold: 2 threads of another library came before; fix: start it as "
        "`sh -c 'exec PROGRAM'`, which hands it on");
  CHECK(message.level == LogLevel::warn);
}

TEST_CASE("what does not hold beside the lock") {
  for (const RefusalRow& row : kRefusals) {
    CAPTURE(row.name);
    FakeKernel kernel;
    kernel.capabilities[needed(row.refusal)] = row.state;
    if (*row.marker != '\0') {
      kernel.files[row.marker].contents = "";
    }
    Settings settings;
    settings.required = row.required;
    const Message result = described<Kernel>(kernel, row.refusal, settings);
    CHECK(std::string(result.text.view()) == row.text);
    CHECK(result.level == (row.required ? LogLevel::error : LogLevel::warn));
  }
}

TEST_CASE("a dropped capability") {
  FakeKernel kernel;
  Settings settings;
  const std::string rest =
      ": what is mapped from now on is not locked, as allocations beyond RLIMIT_MEMLOCK "
      "(8192 KiB) would fail";
  const Message told = dropped(kernel, settings, kExempt);
  CHECK(std::string(told.text.view()) == "CAP_IPC_LOCK was dropped" + rest + kLimitsConf);
  CHECK(told.level == LogLevel::warn);
  settings.required = true;
  const Message fatal = dropped(kernel, settings, kExempt);
  CHECK(std::string(fatal.text.view()) ==
        "CAP_IPC_LOCK was dropped, and DUENDE_MLOCK_REQUIRED is on" + rest + kLimitsConf);
  CHECK(fatal.level == LogLevel::error);
}

TEST_CASE("the longest name of a unit leaves room for the line") {
  Scene scene = refused(ENOMEM, kEight, kNamespaced);
  scene.ipc_lock = kPermitted;
  scene.settings.required = true;
  scene.cgroup = "0::/" + std::string(247, 'u') + ".service\n";
  CHECK_FALSE(report(scene).text.truncated());
  CHECK(report(scene).text.size() < 600);
}

}  // namespace
