// SPDX-License-Identifier: MIT OR Apache-2.0
// What a forked child has: the lock in every mode and way to fork, no copies, its code resident.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>

#include "precondition.hpp"
#include "procfs.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

constexpr std::string_view kLarge = "512";       // MiB of the parent
constexpr std::uint64_t kMostCopied = 4 * 1024;  // KiB

/// Host `forker` under the library, run by root: nothing is held back for a limit.
Launch forker(std::string_view way, std::string_view number, const Names& variables = {}) {
  // Where the limit is finite, MCL_FUTURE has to be asked for.
  Launch launch = shimmed("forker", {std::string(way), std::string(number)}, {"FUTURE=1"});
  add_variables(launch, variables);
  launch.identity = Identity::root;
  return launch;
}

/// Each process of the host shows its smaps_rollup.
bool is_missing(Identity identity) {
  const auto missing = missing_for(identity);
  return (missing && skip(*missing)) ||
         (::access("/proc/self/smaps_rollup", R_OK) != 0 && skip("smaps_rollup (Linux 4.14)"));
}

enum class Lock : unsigned char { none, on_fault, populated };

/// `who` in the host's output has everything locked in that way.
void check_lock(const Finished& finished, std::string_view who, Lock lock) {
  CAPTURE(who);
  const std::string_view text = section(finished.out, who);
  REQUIRE(!text.empty());
  CHECK((number(text, "VmLck:") > 0) == (lock != Lock::none));
  for (const SmapsEntry& entry : parse_smaps(text)) {
    if (entry.is("io") || entry.is("pf") || entry.size == 0) {
      continue;  // the kernel's own pages are never locked
    }
    CAPTURE(entry.path);
    CAPTURE(entry.permissions);
    if (entry.inode != 0 || entry.path == "[heap]" || entry.path == "[stack]") {
      CHECK(entry.is("lo") == (lock != Lock::none));
      CHECK(entry.on_fault() == (lock == Lock::on_fault));
    }
  }
}

/// MADV_POPULATE_READ, Linux 5.14: before, code comes as it runs.
bool code_is_read_in() {
  constexpr int kPopulateRead = 22;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto here = reinterpret_cast<std::uintptr_t>(&page);
  return ::madvise(reinterpret_cast<void*>(here & ~(page - 1)), page, kPopulateRead) == 0;
}

void check_code_is_resident(const Finished& finished, std::string_view who) {
  CAPTURE(who);
  const auto code = code_mappings(parse_smaps(section(finished.out, who)));
  CHECK(code.size() >= 6);  // of the program, the C library and the loader at least
  for (const SmapsEntry& entry : code) {
    CAPTURE(entry.path);
    CAPTURE(entry.permissions);
    CHECK(entry.resident == entry.size);
  }
}

/// A text that ends with the fix, which a child cannot take from its parent's environment.
std::string without_fix(std::string_view err) {
  return std::string(err.substr(0, err.find("; fix: ")));
}

}  // namespace

TEST_SUITE("root") {
  TEST_CASE("every mode, every way to fork: parent, child and grandchild") {
    struct {
      std::string_view mode;
      std::string_view onfault;
      Lock parent;
      Lock child;
    } const rows[] = {
        {"FORK=", "ONFAULT=", Lock::on_fault, Lock::on_fault},
        {"FORK=lazy", "ONFAULT=1", Lock::on_fault, Lock::on_fault},
        {"FORK=lazy", "ONFAULT=0", Lock::populated, Lock::on_fault},
        {"FORK=full", "ONFAULT=1", Lock::on_fault, Lock::populated},
        {"FORK=full", "ONFAULT=0", Lock::populated, Lock::populated},
        {"FORK=off", "ONFAULT=1", Lock::on_fault, Lock::none},
        {"FORK=off", "ONFAULT=0", Lock::populated, Lock::none},
    };
    if (is_missing(Identity::root)) {
      return;
    }
    for (const auto& row : rows) {
      for (const std::string_view way : {"tree", "thread"}) {
        CAPTURE(row.mode);
        CAPTURE(row.onfault);
        CAPTURE(way);
        const Finished finished = run(forker(way, "1", {row.mode, row.onfault}));
        CHECK(finished.how() == "exit 0");
        check_lock(finished, "parent", row.parent);
        check_lock(finished, "child", row.child);
        check_lock(finished, "grandchild", row.child);
        CHECK(finished.err.find("after fork") == std::string::npos);
      }
    }
  }

  TEST_CASE("code and constants of program and libraries are resident, in parent and child") {
    if (is_missing(Identity::root) ||
        (!code_is_read_in() && skip("MADV_POPULATE_READ (Linux 5.14)"))) {
      return;
    }
    for (const std::string_view onfault : {"ONFAULT=1", "ONFAULT=0"}) {
      CAPTURE(onfault);
      const Finished finished = run(forker("tree", "1", {onfault}));
      for (const std::string_view who : {"parent", "child", "grandchild"}) {
        check_code_is_resident(finished, who);
      }
    }
    Launch bare = plain("forker", {"tree", "1"});
    const auto smaps = parse_smaps(section(run(bare).out, "parent"));
    const auto code = code_mappings(smaps);
    CHECK(std::any_of(code.begin(), code.end(),
                      [](const SmapsEntry& entry) { return entry.resident < entry.size; }));
  }

  TEST_CASE("nothing is copied with lazy, everything with full, of 512 MiB") {
    if (is_missing(Identity::root)) {
      return;
    }
    struct {
      std::string_view variable;
      bool copies;
    } const rows[] = {{"FORK=lazy", false}, {"FORK=off", false}, {"FORK=full", true}};
    for (const auto& row : rows) {
      const Finished finished = run(forker("tree", kLarge, {row.variable}));
      const auto dirty = number(section(finished.out, "child"), "Private_Dirty:");
      CAPTURE(row.variable);
      CHECK(finished.how() == "exit 0");
      CHECK((dirty < kMostCopied) == !row.copies);
    }
    // Populated from the start as well.
    const Finished finished = run(forker("tree", kLarge, {"FORK=lazy", "ONFAULT=0"}));
    CHECK(number(section(finished.out, "child"), "Private_Dirty:") < kMostCopied);
  }

  TEST_CASE("a child stays locked after its parent has gone") {
    if (is_missing(Identity::root)) {
      return;
    }
    for (const std::string_view mode : {"FORK=lazy", "FORK=full"}) {
      const Finished finished = run(forker("orphan", "16", {mode}));
      const std::string_view child = section(finished.out, "child");
      CAPTURE(mode);
      REQUIRE(!child.empty());
      CHECK(number(child, "VmLck:") > 16 * 1024);
      CHECK(number(child, "Locked:") > 16 * 1024);
      if (code_is_read_in()) {
        check_code_is_resident(finished, "child");
      }
    }
  }

  TEST_CASE("a child of a daemon that dropped root can allocate beyond the limit") {
    if (is_missing(Identity::root)) {
      return;
    }
    for (const rlim_t limit : {rlim_t{0}, 64 * kKiB, kDefaultLimit}) {
      for (const std::string_view mode : {"FORK=lazy", "FORK=full", "FORK=off"}) {
        for (const std::string_view way : {"drop", "drop-raw"}) {
          Launch launch = forker(way, std::to_string(kUser), {mode});
          limit_locking(launch, limit);
          const Finished finished = run(launch);
          CAPTURE(limit);
          CAPTURE(mode);
          CAPTURE(way);
          CHECK(finished.how() == "exit 0");
          CHECK(section(finished.out, "wait") == "exit 0\n");
        }
      }
    }
  }

  TEST_CASE("a signal handler's small stack is enough for a fork, with 3 KiB more") {
    if (is_missing(Identity::root)) {
      return;
    }
    Launch bare = plain("forker", {"handler", "0"});
    bare.identity = Identity::root;
    const auto without = number(run(bare).out, "used ");
    REQUIRE(without > 0);
    for (const std::string_view log : {"LOG=info", "LOG=debug"}) {
      const Finished finished = run(forker("handler", "0", {log}));
      CAPTURE(log);
      CHECK(finished.how() == "exit 0");
      CHECK(number(finished.out, "used ") <= without + 3 * 1024);
    }
  }

  TEST_CASE("a required child that cannot lock aborts; its parent does not") {
    if (is_missing(Identity::root)) {
      return;
    }
    // Past the C library, where the library cannot see it and abort the parent at once.
    Launch launch = forker("drop-raw", std::to_string(kUser), {"REQUIRED=1"});
    limit_locking(launch, 64 * kKiB);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(section(finished.out, "wait") == "signal 6\n");
    CHECK(section(finished.out, "child").empty());
    CHECK(finished.err.find("] forker: after fork: " + expected::not_locked(true)) !=
          std::string::npos);
  }

  TEST_CASE("a required lock that ends with a privilege drop: SIGABRT at the drop") {
    if (is_missing(Identity::root)) {
      return;
    }
    Launch launch = forker("drop", std::to_string(kUser), {"REQUIRED=1"});
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "signal 6");
    CHECK(finished.out.empty());
    CHECK(finished.err.find("] forker: CAP_IPC_LOCK was dropped") != std::string::npos);
  }

  TEST_CASE("with debug, a child says that it is locked; without, it is silent") {
    if (is_missing(Identity::root)) {
      return;
    }
    for (const bool debug : {true, false}) {
      const Finished finished = run(forker("tree", "1", {debug ? "LOG=debug" : "LOG=info"}));
      CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == (debug ? 3 : 1));
      CHECK((finished.err.find(": after fork: locked (") != std::string::npos) == debug);
    }
  }
}

TEST_SUITE("user") {
  TEST_CASE("under a limit, children are locked as their parent is: what is there, nothing later") {
    if (is_missing(Identity::user)) {
      return;
    }
    Launch launch = shimmed("forker", {"tree", "1"});
    launch.identity = Identity::user;
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    for (const std::string_view who : {"parent", "child", "grandchild"}) {
      CAPTURE(who);
      CHECK(number(section(finished.out, who), "VmLck:") > 0);
      CHECK(number(section(finished.out, who), "VmLck:") <
            number(section(finished.out, who), "VmSize:"));
    }
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }

  TEST_CASE("a child too large for the limit says so, and runs") {
    if (is_missing(Identity::user)) {
      return;
    }
    Launch launch = shimmed("forker", {"tree", "16"});
    launch.identity = Identity::user;
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(number(section(finished.out, "child"), "VmLck:") == 0);
    const std::string_view child = finished.err;
    const std::string text = without_fix(child.substr(child.find("after fork: ")));
    const std::string pattern =
        without_fix("after fork: " + expected::too_large(kDefaultLimit, Identity::user, false));
    CHECK(text == with_numbers_of(pattern, text));
  }
}

}  // namespace duende::mlock::test
