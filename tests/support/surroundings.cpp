// SPDX-License-Identifier: MIT OR Apache-2.0
#include "surroundings.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "check.hpp"
#include "identity.hpp"

namespace duende::mlock::test {

namespace {

namespace fs = std::filesystem;

void mount_at(const char* what, const std::string& where, unsigned long flags) {
  const char* const type = flags == 0 ? "tmpfs" : nullptr;
  check(::mount(what, where.c_str(), type, flags, nullptr), "mount " + where);
}

/// The same names at the top, save for what is no folder: /.dockerenv is such.
void mirror_root(const fs::path& root) {
  for (const auto& entry : fs::directory_iterator("/")) {
    const fs::path mirrored = root / entry.path().filename();
    if (entry.path() == root.parent_path()) {
      continue;
    }
    if (entry.is_symlink()) {
      fs::copy_symlink(entry.path(), mirrored);
    } else if (entry.is_directory()) {
      fs::create_directory(mirrored);
      mount_at(entry.path().c_str(), mirrored, MS_BIND | MS_REC);
    }
  }
}

void make_root(const fs::path& root) {
  check(::chdir(root.c_str()), root);
  check(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
  check(::umount2(".", MNT_DETACH), "umount2");
  check(::chdir("/"), "/");
}

void leave_traces(Place place, std::string_view groups) {
  std::ofstream("/run/groups") << groups;
  mount_at("/run/groups", "/proc/" + std::to_string(::getpid()) + "/cgroup", MS_BIND);
  if (place == Place::docker) {
    std::ofstream("/.dockerenv");
  } else if (place == Place::podman) {
    std::ofstream("/run/.containerenv");
  } else if (place == Place::kubernetes) {
    fs::create_directories("/run/secrets/kubernetes.io");
  }
}

/// Only then can it be made private, and another one put in its place.
bool root_is_mount_point() {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string number, parent, device, root, where;
  for (std::string rest; mounts >> number >> parent >> device >> root >> where;) {
    if (where == "/") {
      return true;
    }
    std::getline(mounts, rest);
  }
  return false;
}

}  // namespace

std::string_view name_of(Place place) {
  switch (place) {
    case Place::shell: return "a plain shell";
    case Place::systemd: return "a systemd unit";
    case Place::docker: return "Docker";
    case Place::podman: return "Podman";
    case Place::kubernetes: return "Kubernetes";
  }
  return "?";
}

std::optional<std::string> missing_for_surroundings() {
  if (::geteuid() != 0 || !has_capability(kCapSysAdmin)) {
    return "a mount namespace needs root with CAP_SYS_ADMIN";
  }
  if (!root_is_mount_point()) {
    return "a mount point at /, which a chroot has not";
  }
  return std::nullopt;
}

void leave_mounts() {
  check(::unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  mount_at("none", "/", MS_REC | MS_PRIVATE);
}

void enter(Place place) {
  const std::string_view group = place == Place::systemd ? kUnit : "session-1.scope";
  enter(place, "0::/system.slice/" + std::string(group) + '\n');
}

void enter(Place place, std::string_view groups) {
  leave_mounts();
  // /mnt is empty, or else what is in it stays below.
  const std::string root = "/mnt";
  mount_at("root", root, 0);
  const fs::path mirrored = root + "/root";
  fs::create_directory(mirrored);
  fs::permissions(mirrored, fs::perms{0755});
  mount_at(mirrored.c_str(), mirrored, MS_BIND);
  mirror_root(mirrored);
  mount_at("run", mirrored / "run", 0);
  make_root(mirrored);
  // /var/run is a link to /run nearly everywhere.
  leave_traces(place, groups);
}

void hide_proc() {
  leave_mounts();
  mount_at("nothing", "/proc", 0);
}

}  // namespace duende::mlock::test
