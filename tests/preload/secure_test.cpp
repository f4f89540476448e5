// SPDX-License-Identifier: MIT OR Apache-2.0
// Setuid and file-capability programs: locked with the defaults, whatever their caller wants.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <filesystem>
#include <fstream>

#include "check.hpp"
#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

namespace fs = std::filesystem;

constexpr Place kHere = Place::systemd;
constexpr const char* kLibrary = "libduende_mlock_preload.so";
constexpr const char* kPrograms = "/run/programs";

/// Where the dynamic linker looks by itself: where it has found this test's C library.
fs::path standard_folder() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/libc.so.6") != std::string::npos) {
      return fs::path(line.substr(line.find('/'))).parent_path();
    }
  }
  return {};
}

void set_file_capability(const std::string& path) {
  vfs_cap_data data = {};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1U << kCapIpcLock;
  check(::setxattr(path.c_str(), "security.capability", &data, XATTR_CAPS_SZ_2, 0), "setxattr");
}

void place(const fs::path& from, const fs::path& to, unsigned mode) {
  fs::copy_file(from, to);
  check(::chmod(to.c_str(), mode), to);
}

/// The library in a standard folder, for this process alone: the machine's own stays as it is.
void install(unsigned mode) {
  enter(kHere);
  const std::string folder = standard_folder();
  for (const char* const part : {"/run/upper", "/run/work", kPrograms}) {
    fs::create_directory(part);
    fs::permissions(part, fs::perms{0755});
  }
  const std::string layers = "lowerdir=" + folder + ",upperdir=/run/upper,workdir=/run/work";
  check(::mount("overlay", folder.c_str(), "overlay", 0, layers.c_str()), "mount overlay");
  place(Stage::get().library(), folder + '/' + kLibrary, mode);
  const std::string programs = kPrograms;
  place(Stage::get().host("report"), programs + "/setuid", 04755);
  place(Stage::get().host("report"), programs + "/capable", 0755);
  set_file_capability(programs + "/capable");
}

Launch secure(const std::string& program, unsigned mode = 04755) {
  (void)Stage::get();  // made here, or each child would make one of its own
  Launch launch;
  launch.arguments = {kPrograms + ('/' + program)};
  launch.environment = {std::string("LD_PRELOAD=") + kLibrary};
  launch.identity = Identity::user;
  limit_locking(launch, kDefaultLimit);
  launch.set_up = [mode] { install(mode); };
  return launch;
}

bool installing_is_missing() {
  if (surroundings_are_missing() || is_missing(Identity::user) || is_missing(Identity::root)) {
    return true;
  }
  Launch launch = secure("capable");
  launch.environment.clear();
  try {
    return run(launch).how() != "exit 0" && skip("programs with privileges of their own");
  } catch (const std::runtime_error& problem) {
    return skip(problem.what());
  }
}

/// With the defaults, and under a name that the caller has not chosen.
void check_locked(const Finished& finished) {
  CHECK(finished.how() == "exit 0");
  CHECK(locked_at_main(finished) > 0);
  CHECK(locked_after_mapping(finished) == locked_at_main(finished));
  check_error(finished, any_line("(secure)", expected::lifted(kDefaultLimit) +
                                                 "; fix: " + expected::fix_of_limit(kHere) +
                                                 ", or DUENDE_MLOCK_FUTURE=1"));
}

}  // namespace

TEST_SUITE("secure") {
  TEST_CASE("preloaded by its bare name, it locks with the defaults") {
    if (installing_is_missing()) {
      return;
    }
    check_locked(run(secure("setuid")));
    check_locked(run(secure("capable")));
  }

  TEST_CASE("nothing the caller says counts, or is repeated") {
    if (installing_is_missing()) {
      return;
    }
    const std::vector<Names> environments = {
        {"LOG=off"},
        {"LOG=debug", "FUTURE=0", "CURRENT=0"},
        {"REQUIRED=maybe"},
        {"REQUIRED=1", "FORK=secret", "SECRET=1"},
        {"ONLY=another", "REALTIME=5", "IO_FLUSHER=1", "PROFILE=swap-device"},
        {"ONFAULT=0", "THREAD_STACK=16K", "ARENAS=1", "RAISE_LIMIT=0"},
    };
    for (const char* const program : {"setuid", "capable"}) {
      for (const Names& variables : environments) {
        Launch launch = secure(program);
        add_variables(launch, variables);
        // Neither the place nor the journal is the caller's to tell.
        launch.environment.insert(launch.environment.end(),
                                  {"KUBERNETES_SERVICE_HOST=10.0.0.1", "JOURNAL_STREAM=@STDERR@"});
        CAPTURE(program);
        CAPTURE(variables.front());
        check_locked(run(launch));
      }
    }
  }

  TEST_CASE("nor how the caller names the program") {
    if (installing_is_missing()) {
      return;
    }
    for (const char* const program : {"setuid", "capable"}) {
      Launch launch = secure(program);
      const std::string path = launch.arguments[0];
      launch.arguments = {"/bin/bash", "-c", "exec -a 'secret' \"$0\"", path};
      launch.environment[0].insert(0, "X_");  // bash itself is to run without
      launch.arguments[2].insert(0, std::string("export LD_PRELOAD=") + kLibrary + "; ");
      CAPTURE(program);
      check_locked(run(launch));
    }
  }

  TEST_CASE("without its set-user-ID bit it is not loaded") {
    if (installing_is_missing()) {
      return;
    }
    for (const char* const program : {"setuid", "capable"}) {
      const Finished finished = run(secure(program, 0755));
      CAPTURE(program);
      CHECK(finished.how() == "exit 0");
      CHECK(locked_at_main(finished) == 0);
      CHECK(finished.err.find("duende-mlock") == std::string::npos);
    }
  }

  TEST_CASE("a child, and a drop of privileges, do not say more") {
    if (installing_is_missing()) {
      return;
    }
    Launch launch = secure("setuid");
    launch.set_up = [] {
      install(04755);
      place(Stage::get().host("forker"), std::string(kPrograms) + "/forker", 04755);
    };
    launch.arguments = {std::string(kPrograms) + "/forker", "drop", "65534"};
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(finished.err.find("duende-mlock[") == 0);
    CHECK(finished.err.find("forker") == std::string::npos);
    CHECK(finished.err.find('\n') == finished.err.size() - 1);
  }
}

}  // namespace duende::mlock::test
