// SPDX-License-Identifier: MIT OR Apache-2.0
// The fix fits where the process runs: shell, systemd, Docker, Podman, Kubernetes, each made real
// in a root folder of its own.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>

#include "check.hpp"
#include "precondition.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

namespace fs = std::filesystem;

struct Row {
  std::string_view name;
  std::string_view file;         // that marks the container, if any
  std::string_view environment;  // one more variable, if any
  std::string_view group;        // the whole of /proc/self/cgroup
  std::string_view fix;
};

constexpr std::string_view kNoUnit = "0::/user.slice/session-1.scope\n";
constexpr std::string_view kShell =
    "`* - memlock unlimited` in /etc/security/limits.conf, and a new login";
constexpr std::string_view kDocker = "docker run --ulimit memlock=-1:-1";
constexpr std::string_view kPodman = "podman run --ulimit memlock=-1:-1";
constexpr std::string_view kKubernetes =
    "run the container as root, with IPC_LOCK in securityContext.capabilities.add";
constexpr std::string_view kSystemd =
    "LimitMEMLOCK=infinity in the [Service] section of nbdkit.service";

constexpr Row kRows[] = {
    {"a shell", "", "", kNoUnit, kShell},
    {"a shell, without a control group", "", "", "", kShell},
    {"systemd", "", "", "0::/system.slice/nbdkit.service\n", kSystemd},
    {"systemd, hybrid", "", "",
     "4:memory:/x\n1:name=systemd:/system.slice/nbdkit.service\n0::/system.slice/nbdkit.service\n",
     kSystemd},
    {"Docker", "/.dockerenv", "", kNoUnit, kDocker},
    {"Docker, inside a unit", "/.dockerenv", "", "0::/system.slice/nbdkit.service\n", kDocker},
    {"Podman", "/run/.containerenv", "", kNoUnit, kPodman},
    {"Kubernetes", "", "KUBERNETES_SERVICE_HOST=10.0.0.1", kNoUnit, kKubernetes},
    {"Kubernetes on Docker", "/.dockerenv", "KUBERNETES_SERVICE_HOST=10.0.0.1", kNoUnit,
     kKubernetes},
};

void bind(const fs::path& from, const fs::path& to) {
  check(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr),
        "bind " + from.string());
}

/// A root folder with what programs need of the machine's own, and nothing that marks a container.
void enter_root(const fs::path& root, const Row& row) {
  check(::unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "MS_PRIVATE");
  check(::mount("tmpfs", root.c_str(), "tmpfs", 0, "mode=755"), "tmpfs");
  for (const fs::path name : {"bin", "dev", "lib", "lib64", "proc", "tmp", "usr"}) {
    const fs::path found = "/" / name;
    if (fs::is_symlink(found)) {
      fs::copy_symlink(found, root / name);
    } else if (fs::exists(found)) {
      fs::create_directory(root / name);
      bind(found, root / name);
    }
  }
  fs::create_directory(root / "run");
  if (!row.file.empty()) {
    std::ofstream(root.string() + std::string(row.file)).close();
  }
  std::ofstream(root / "group") << row.group;
  bind(root / "group", root / "proc/self/cgroup");
  check(::chroot(root.c_str()), "chroot");
}

}  // namespace

TEST_SUITE("mount-namespace") {
  TEST_CASE("one fix, that of the host") {
    if (::geteuid() != 0 || !has_capability(kCapSysAdmin)) {
      skip("a mount namespace needs root with CAP_SYS_ADMIN");
      return;
    }
    for (const Row& row : kRows) {
      Launch launch = shimmed("report");
      launch.environment.pop_back();  // the host that other tests name
      if (!row.environment.empty()) {
        launch.environment.emplace_back(row.environment);
      }
      const std::string root = Stage::get().empty_folder("root");
      launch.set_up = [&] { enter_root(root, row); };
      launch.identity = Identity::user;
      limit_locking(launch, 0);
      CAPTURE(row.name);
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(finished.err == line_of(finished, "report", expected::no_limit_at_all(row.fix)));
    }
  }
}

}  // namespace duende::mlock::test
