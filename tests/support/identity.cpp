// SPDX-License-Identifier: MIT OR Apache-2.0
#include "identity.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "check.hpp"

namespace duende::mlock::test {

namespace {

constexpr unsigned bit(int capability) { return 1U << capability; }

struct CapabilitySets {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
};

void become_user() {
  check(::setgroups(0, nullptr), "setgroups");
  check(::setresgid(kUser, kUser, kUser), "setresgid");
  check(::setresuid(kUser, kUser, kUser), "setresuid");
}

void become_user_who_may_lock() {
  check(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS");
  become_user();
  CapabilitySets sets;
  sets.data[0] = {.effective = bit(kCapIpcLock),
                  .permitted = bit(kCapIpcLock),
                  .inheritable = bit(kCapIpcLock)};
  check(::syscall(SYS_capset, &sets.header, sets.data), "capset");
  check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kCapIpcLock, 0, 0), "PR_CAP_AMBIENT_RAISE");
}

void write_map(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  check(file, path);
  check(::write(file, text.data(), text.size()), path);
  ::close(file);
}

void become_root_of_namespace() {
  if (::geteuid() == 0) {
    become_user();
  }
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  // A process that has changed its user may not write its own maps otherwise.
  check(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE");
  check(::unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
  write_map("/proc/self/setgroups", "deny");
  write_map("/proc/self/uid_map", "0 " + user + " 1");
  write_map("/proc/self/gid_map", "0 " + group + " 1");
}

bool can_become(Identity identity) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      become(identity);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

std::string_view name_of(Identity identity) {
  switch (identity) {
    case Identity::as_found: return "as found";
    case Identity::root: return "root";
    case Identity::root_with_all: return "root with CAP_SYS_RESOURCE";
    case Identity::user: return "ordinary user";
    case Identity::user_may_lock: return "ordinary user with ambient CAP_IPC_LOCK";
    case Identity::root_of_namespace: return "root of a user namespace";
  }
  return "?";
}

bool has_capability(int number) {
  CapabilitySets sets;
  check(::syscall(SYS_capget, &sets.header, sets.data), "capget");
  return (sets.data[0].effective & bit(number)) != 0;
}

bool in_first_user_namespace() {
  constexpr std::string_view kFirst = "user:[4026531837]";
  return std::filesystem::read_symlink("/proc/self/ns/user") == kFirst;
}

std::optional<std::string> missing_for(Identity identity) {
  const std::string who(name_of(identity));
  if (identity == Identity::as_found) {
    return std::nullopt;
  }
  if (identity == Identity::user && ::geteuid() != 0) {
    return std::nullopt;
  }
  if (identity != Identity::root_of_namespace && ::geteuid() != 0) {
    return "only root can start a process as " + who;
  }
  const bool may_lock = identity == Identity::root || identity == Identity::root_with_all ||
                        identity == Identity::user_may_lock;
  if (may_lock && !(has_capability(kCapIpcLock) && in_first_user_namespace())) {
    return who + ": CAP_IPC_LOCK is missing, or does not count";
  }
  if (identity == Identity::root_with_all && !has_capability(kCapSysResource)) {
    return who + ": CAP_SYS_RESOURCE is missing";
  }
  if (!can_become(identity)) {
    return "this machine does not allow to start a process as " + who;
  }
  return std::nullopt;
}

void become(Identity identity) {
  switch (identity) {
    case Identity::as_found:
    case Identity::root_with_all: return;
    case Identity::root:
      check(::prctl(PR_CAPBSET_DROP, kCapSysResource, 0, 0, 0), "PR_CAPBSET_DROP");
      return;
    case Identity::user:
      if (::geteuid() == 0) {
        become_user();
      }
      return;
    case Identity::user_may_lock: return become_user_who_may_lock();
    case Identity::root_of_namespace: return become_root_of_namespace();
  }
}

}  // namespace duende::mlock::test
