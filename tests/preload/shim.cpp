// SPDX-License-Identifier: MIT OR Apache-2.0
#include "shim.hpp"

#include <sys/prctl.h>
#include <algorithm>
#include <iterator>

#include <duende/mlock/status.hpp>

#include "procfs.hpp"

namespace duende::mlock::test {

namespace {

constexpr std::string_view kVariablePrefix = "DUENDE_MLOCK_";
constexpr std::string_view kKnownHost = "KUBERNETES_SERVICE_HOST=10.0.0.1";

constexpr std::string_view kFixLimit =
    "; fix: run the container as root, with IPC_LOCK in securityContext.capabilities.add";
constexpr std::string_view kFixExempt =
    "; fix: keep the user root: Kubernetes sets no memlock limit";
constexpr std::string_view kFixNamespace =
    "; fix: raise the hard limit of the user who creates the namespace, beforehand";

std::string not_exempt(Identity identity) {
  if (identity == Identity::root_of_namespace) {
    return ", and CAP_IPC_LOCK does not count: it is held only in a user namespace" +
           std::string(kFixNamespace);
  }
  const bool bounding = ::prctl(PR_CAPBSET_READ, kCapIpcLock, 0, 0, 0) == 1;
  return std::string(bounding ? ", and CAP_IPC_LOCK is in the bounding set but not effective"
                              : ", and CAP_IPC_LOCK is not in the bounding set") +
         std::string(kFixLimit);
}

std::string failed_with(bool required, std::string_view errno_name) {
  return expected::not_locked(required) +
         (required ? "mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT) failed with "
                   : "mlockall(MCL_CURRENT|MCL_ONFAULT) failed with ") +
         std::string(errno_name) + ": ";
}

std::uint64_t bytes_of(std::string_view text, std::string_view key) {
  return number(text, key) * 1024;
}

}  // namespace

Launch plain(const std::string& host, std::vector<std::string> arguments) {
  Launch launch;
  launch.arguments = {Stage::get().host(host)};
  launch.arguments.insert(launch.arguments.end(), arguments.begin(), arguments.end());
  return launch;
}

Launch shimmed(const std::string& host, std::vector<std::string> arguments,
               const Names& variables) {
  Launch launch = plain(host, std::move(arguments));
  launch.environment = {"LD_PRELOAD=" + Stage::get().library(), std::string(kKnownHost)};
  add_variables(launch, variables);
  return launch;
}

void add_variables(Launch& launch, const Names& variables) {
  for (const std::string_view variable : variables) {
    launch.environment.push_back(std::string(kVariablePrefix) + std::string(variable));
  }
}

void limit_locking(Launch& launch, rlim_t bytes) { limit_locking(launch, bytes, bytes); }

void limit_locking(Launch& launch, rlim_t soft, rlim_t hard) {
  launch.limits.push_back({RLIMIT_MEMLOCK, {soft, hard}});
}

std::string missing_for_limit(rlim_t bytes) {
  rlimit found;
  if (has_capability(kCapSysResource) ||
      (::getrlimit(RLIMIT_MEMLOCK, &found) == 0 && bytes <= found.rlim_max)) {
    return {};
  }
  return "RLIMIT_MEMLOCK of " + expected::limit(bytes) + ": the hard limit is " +
         expected::limit(found.rlim_max);
}

std::string line_of(const Finished& finished, std::string_view program, std::string_view text) {
  return "duende-mlock[" + std::to_string(finished.pid) + "] " + std::string(program) + ": " +
         std::string(text) + '\n';
}

std::string with_numbers_of(std::string_view pattern, std::string_view actual) {
  const auto is_digit = [](char byte) { return byte >= '0' && byte <= '9'; };
  std::string result;
  std::size_t at = 0;
  for (const char byte : pattern) {
    if (byte != '#') {
      result += byte;
      ++at;
      continue;
    }
    while (at < actual.size() && is_digit(actual[at])) {
      result += actual[at++];
    }
  }
  return result;
}

std::uint64_t locked_at_main(const Finished& finished) {
  return finished.out.empty() ? 0 : bytes_of(finished.out, "VmLck:");
}
std::uint64_t address_space_at_main(const Finished& finished) {
  return bytes_of(finished.out, "VmSize:");
}
std::uint64_t locked_after_mapping(const Finished& finished) {
  const std::string_view text = section(finished.out, "mapped");
  return text.empty() ? 0 : bytes_of(text, "VmLck:");
}

namespace expected {

std::string limit(rlim_t bytes) {
  return bytes == RLIM_INFINITY ? "infinite" : std::to_string(bytes / kKiB) + " KiB";
}

std::string locked(std::uint64_t bytes, std::string_view what) {
  return std::string(MlockStatus::Locked(bytes).message().view()) + ": " + std::string(what);
}

std::string lifted(std::uint64_t bytes, rlim_t bound) {
  return locked(bytes, "current, on-fault") +
         "; not future: only CAP_IPC_LOCK lifts RLIMIT_MEMLOCK (" + limit(bound) +
         "), and allocations would fail once it is dropped" + std::string(kFixExempt) +
         ", or DUENDE_MLOCK_FUTURE=1";
}

std::string exempt(std::uint64_t bytes, rlim_t bound) {
  return locked(bytes, "current and future, on-fault") +
         "; nothing more once CAP_IPC_LOCK is dropped: allocations beyond RLIMIT_MEMLOCK (" +
         limit(bound) + ") would fail" + std::string(kFixExempt);
}

std::string current_only(std::uint64_t bytes, rlim_t bound, Identity identity) {
  return locked(bytes, "current, on-fault") + "; not future: allocations beyond RLIMIT_MEMLOCK (" +
         limit(bound) + ") would fail" + not_exempt(identity);
}

std::string headroom(std::uint64_t bytes, rlim_t bound, Identity identity) {
  return locked(bytes, "current and future, on-fault") +
         "; the limit binds: allocations beyond RLIMIT_MEMLOCK (" + limit(bound) + ") fail (" +
         std::to_string((bound - std::min(bytes, bound)) / kKiB) + " KiB are left)" +
         not_exempt(identity);
}

std::string no_limit_at_all(Identity identity, bool required) {
  return failed_with(required, "EPERM") + "RLIMIT_MEMLOCK (0 KiB) allows no lock" +
         not_exempt(identity);
}

std::string no_limit_at_all(std::string_view fix) {
  const std::string text = no_limit_at_all(Identity::user, false);
  constexpr std::string_view kFix = "; fix: ";
  return text.substr(0, text.find(kFix) + kFix.size()) + std::string(fix);
}

std::string too_large(rlim_t bound, Identity identity, bool required) {
  return failed_with(required, "ENOMEM") + "the address space (# KiB) exceeds RLIMIT_MEMLOCK (" +
         limit(bound) + ')' + not_exempt(identity);
}

std::string refused(std::string_view errno_name) {
  struct Cause {
    std::string_view errno_name;
    std::string_view flags;
    std::string_view text;
  };
  constexpr std::string_view kAll = "MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT";
  constexpr std::string_view kMemory =
      "no memory left, or more mappings than vm.max_map_count; fix: raise one of them";
  constexpr std::string_view kKernel = "this kernel does not have it; fix: a newer kernel";
  constexpr Cause kCauses[] = {
      {"EPERM", kAll,
       "a seccomp filter refuses it; fix: a securityContext.seccompProfile that allows mlockall"},
      {"ENOMEM", kAll, kMemory},
      {"EAGAIN", kAll, kMemory},
      {"EINVAL", "MCL_CURRENT|MCL_FUTURE", kKernel},  // of the second attempt
      {"ENOSYS", kAll,
       "a seccomp filter refuses it; fix: a securityContext.seccompProfile that allows mlockall"},
  };
  const auto* const cause =
      std::find_if(std::begin(kCauses), std::end(kCauses),
                   [&](const Cause& each) { return each.errno_name == errno_name; });
  return not_locked(false) + "mlockall(" + std::string(cause->flags) + ") failed with " +
         std::string(errno_name) + ": " + std::string(cause->text);
}

std::string not_honoured() {
  return not_locked(false) +
         "mlockall answered 0 but VmLck is 0: a sandbox, or a sanitizer the program was built "
         "with, ignores it; fix: run it without";
}

std::string without_onfault(std::uint64_t bytes, rlim_t bound) {
  std::string text = exempt(bytes, bound);
  constexpr std::string_view kOnfault = "on-fault";
  return text.replace(text.find(kOnfault), kOnfault.size(),
                      "populated (MCL_ONFAULT was refused with EINVAL: Linux 4.4 has it)");
}

std::string not_locked(bool required) {
  return required ? "not locked, and DUENDE_MLOCK_REQUIRED is on: " : "not locked: ";
}

std::string nothing_to_lock() {
  return "nothing to lock: DUENDE_MLOCK_CURRENT and DUENDE_MLOCK_FUTURE are both off";
}

std::string onfault_of_nothing() {
  return "DUENDE_MLOCK_ONFAULT=1 asks for nothing with CURRENT=0 and FUTURE=0 (mlockall answers "
         "EINVAL); leave it out, or set one of the two";
}

std::string bad_value(std::string_view name, std::string_view quoted) {
  const auto all = variables();
  const auto* const variable = &*std::find_if(
      all.begin(), all.end(), [&](const Variable& each) { return each.name == name; });
  return "DUENDE_MLOCK_" + std::string(name) + '=' + std::string(quoted) +
         " is not accepted; accepted: " + std::string(variable->accepted) +
         "; default: " + std::string(variable->fallback);
}

std::string unknown_name(std::string_view quoted, std::string_view nearest) {
  return "unknown variable " + std::string(quoted) + "; the nearest known one is DUENDE_MLOCK_" +
         std::string(nearest);
}

std::span<const Variable> variables() {
  constexpr static std::string_view kBoolean = "1 0 true false yes no on off";
  constexpr static Variable kVariables[] = {
      {"CURRENT", kBoolean, "1", kBoolean},
      {"FUTURE", kBoolean, "1", kBoolean},
      {"ONFAULT", kBoolean, "1", kBoolean},
      {"REQUIRED", kBoolean, "0", kBoolean},
      {"FORK", "lazy full off", "lazy", "lazy full off"},
      {"RAISE_LIMIT", kBoolean, "1", kBoolean},
      {"IO_FLUSHER", kBoolean, "0", kBoolean},
      {"REALTIME", "0 to 99", "0", "0 1 99"},
      {"PROFILE", "lock swap-device", "lock", "lock swap-device"},
      {"ONLY", "base names, : between", "all", "report sh:report sh nbdkit:qemu-nbd"},
      {"THREAD_STACK", "16K to 1G", "unset", "16K 256K 1M 1G"},
      {"ARENAS", "1 to 999", "unset", "1 2 999"},
      {"STORE", "paths, : between", "unset", "/dev/sdb /dev/sdb:/srv/swap"},
      {"LOG", "off error warn info debug", "info", "off error warn info debug"},
  };
  return kVariables;
}

}  // namespace expected

}  // namespace duende::mlock::test
