// SPDX-License-Identifier: MIT OR Apache-2.0
#include "deployment.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>

#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

constexpr const char* kStrace = "/usr/bin/strace";

std::string with_note(std::string_view what, bool required) {
  return std::string(what) + (required ? ", and DUENDE_MLOCK_REQUIRED is on: " : ": ");
}

}  // namespace

Launch placed(Place place, const std::string& host, std::vector<std::string> arguments,
              const Names& variables) {
  Launch launch = plain(host, std::move(arguments));
  launch.environment = {"LD_PRELOAD=" + Stage::get().library()};
  add_variables(launch, variables);
  launch.set_up = [place] { enter(place); };
  return launch;
}

Launch traced(Launch launch) {
  std::vector<std::string> arguments = {kStrace};
  for (const std::string& variable : launch.environment) {
    arguments.insert(arguments.end(), {"-E", variable});
  }
  arguments.insert(arguments.end(), launch.arguments.begin(), launch.arguments.end());
  launch.arguments = arguments;
  launch.environment.clear();
  return launch;
}

bool strace_is_missing() {
  Launch launch;
  launch.arguments = {kStrace, "/bin/true"};
  try {
    return run(launch).how() != "exit 0" && skip("strace may not trace here");
  } catch (const std::runtime_error&) {
    return skip("strace");
  }
}

bool is_missing(Identity identity) {
  const auto missing = missing_for(identity);
  return missing && skip(*missing);
}

bool surroundings_are_missing() {
  const auto missing = missing_for_surroundings();
  return missing && skip(*missing);
}

std::string any_line(std::string_view program, std::string_view text) {
  return "duende-mlock[#] " + std::string(program) + ": " + std::string(text) + '\n';
}

void check_error(const Finished& finished, const std::string& pattern) {
  CHECK(finished.err == with_numbers_of(pattern, finished.err));
}

std::string flags_of_mapping(std::string_view text, std::string_view name) {
  const std::string address(field(text, "mapped " + std::string(name) + ' '));
  const std::size_t at = text.rfind('\n' + address + '-');
  if (at == std::string_view::npos) {
    return "no mapping begins at " + address;
  }
  return ' ' + std::string(field(text.substr(at), "VmFlags:")) + ' ';
}

namespace expected {

std::string fix_of_limit(Place place) {
  switch (place) {
    case Place::shell:
      return "`* - memlock unlimited` in /etc/security/limits.conf, and a new login";
    case Place::systemd:
      return "LimitMEMLOCK=infinity in the [Service] section of " + std::string(kUnit);
    case Place::docker: return "docker run --ulimit memlock=-1:-1";
    case Place::podman: return "podman run --ulimit memlock=-1:-1";
    case Place::kubernetes: return fix_of_capability(place, "IPC_LOCK");
  }
  return {};
}

std::string fix_of_held(Place place) {
  return place == Place::kubernetes ? "keep the user root: Kubernetes sets no memlock limit"
                                    : fix_of_limit(place);
}

std::string fix_of_capability(Place place, std::string_view capability) {
  const std::string name(capability);
  switch (place) {
    case Place::shell: return "start it as root, with CAP_" + name;
    case Place::systemd:
      return "CapabilityBoundingSet=CAP_" + name + " in the [Service] section of " +
             std::string(kUnit);
    case Place::docker: return "docker run --user=0 --cap-add=" + name;
    case Place::podman: return "podman run --user=0 --cap-add=" + name;
    case Place::kubernetes:
      return "run the container as root, with " + name + " in securityContext.capabilities.add";
  }
  return {};
}

std::string fix_of_seccomp(Place place, std::string_view call) {
  const std::string name(call);
  switch (place) {
    case Place::shell: return "allow " + name + " in the filter";
    case Place::systemd:
      return "SystemCallFilter=" + (name == "mlockall" ? "@memlock" : name) +
             ", beside what is there";
    case Place::docker:
    case Place::podman: return "--security-opt seccomp=PROFILE, one that allows " + name;
    case Place::kubernetes: return "a securityContext.seccompProfile that allows " + name;
  }
  return {};
}

std::string state_as_user(int number, std::string_view capability) {
  const bool bounding = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1;
  return "CAP_" + std::string(capability) +
         (bounding ? " is in the bounding set but not effective" : " is not in the bounding set");
}

std::string lifted(rlim_t bound, std::string_view unit) {
  return "locked (# " + std::string(unit) +
         "): current, on-fault; not future: only CAP_IPC_LOCK lifts RLIMIT_MEMLOCK (" +
         limit(bound) + "), and allocations would fail once it is dropped";
}

std::string exempt_until_dropped(rlim_t bound, std::string_view unit) {
  return "locked (# " + std::string(unit) +
         "): current and future, on-fault; nothing more once CAP_IPC_LOCK is dropped: "
         "allocations beyond RLIMIT_MEMLOCK (" +
         limit(bound) + ") would fail";
}

std::string dropped(rlim_t bound, bool required) {
  return with_note("CAP_IPC_LOCK was dropped", required) +
         "what is mapped from now on is not locked, as allocations beyond RLIMIT_MEMLOCK (" +
         limit(bound) + ") would fail";
}

std::string child_current_only(rlim_t bound, std::string_view state) {
  return "after fork: locked (# MB): current, on-fault; not future: allocations beyond "
         "RLIMIT_MEMLOCK (" +
         limit(bound) + ") would fail, and " + std::string(state);
}

std::string child_too_large(rlim_t bound, std::string_view state) {
  return "after fork: not locked: mlockall(MCL_CURRENT|MCL_ONFAULT) failed with ENOMEM: the "
         "address space (# KiB) exceeds RLIMIT_MEMLOCK (" +
         limit(bound) + "), and " + std::string(state);
}

std::string no_io_flusher(std::string_view why, bool required) {
  return with_note("IO_FLUSHER does not hold", required) + "prctl(PR_SET_IO_FLUSHER) " +
         std::string(why);
}

std::string no_realtime(std::string_view why, bool required) {
  return with_note("REALTIME does not hold", required) + "sched_setscheduler(SCHED_RR) " +
         std::string(why);
}

std::string lacks_capability(Place place, int number, std::string_view capability) {
  return "failed with EPERM: " + state_as_user(number, capability) +
         "; fix: " + fix_of_capability(place, capability);
}

std::string old_kernel(std::string_view errno_name, std::string_view since) {
  return "failed with " + std::string(errno_name) + ": this kernel does not have it; fix: Linux " +
         std::string(since);
}

std::string filtered(std::string_view errno_name, Place place, std::string_view call) {
  return "failed with " + std::string(errno_name) +
         ": a seccomp filter refuses it; fix: " + fix_of_seccomp(place, call);
}

std::string without_effect() {
  return "answered 0 without an effect: a sandbox ignores it; fix: run it without";
}

std::string left_alone() { return "left alone: DUENDE_MLOCK_ONLY does not name it"; }

}  // namespace expected

}  // namespace duende::mlock::test
