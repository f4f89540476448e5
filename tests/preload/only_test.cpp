// SPDX-License-Identifier: MIT OR Apache-2.0
// DUENDE_MLOCK_ONLY: which processes lock, and how little the others notice.
#include <doctest/doctest.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

namespace fs = std::filesystem;

/// `report`, started as `path`, where `name` is its argv[0].
Launch report_as(const std::string& path, const std::string& name, const Names& variables) {
  Launch launch = shimmed("report", {}, variables);
  if (name == path) {
    launch.arguments = {path};
    return launch;
  }
  launch.arguments = {"/bin/bash", "-c", "exec -a \"$0\" \"$1\"", name, path};
  return launch;
}

bool is_left_out(const Finished& finished) { return locked_at_main(finished) == 0; }

std::string names_folder() {
  static const std::string folder = Stage::get().empty_folder("only");
  return folder;
}

std::string linked(const std::string& name, const std::string& target) {
  const std::string path = names_folder() + '/' + name;
  fs::remove(path);
  fs::create_symlink(target, path);
  return path;
}

}  // namespace

TEST_SUITE("only") {
  TEST_CASE("by argv[0] or by the executable, its base name as a whole") {
    const std::string report = Stage::get().host("report");
    const std::string link = linked("daemon", report);
    struct {
      std::string path;
      std::string name;
      std::string_view only;
      bool locks;
    } const rows[] = {
        {report, report, "ONLY=report", true},
        {report, report, "ONLY=other:report", true},
        {report, report, "ONLY=report:other", true},
        {report, report, "ONLY=a:b:report:c", true},
        {report, report, "ONLY=other", false},
        {report, report, "ONLY=repor", false},
        {report, report, "ONLY=reports", false},
        {report, report, "ONLY=Report", false},
        {report, report, "ONLY=eport", false},
        {report, report, "ONLY= report", false},
        {report, report, "ONLY=", true},
        {link, link, "ONLY=daemon", true},
        {link, link, "ONLY=report", true},
        {link, link, "ONLY=only", false},
        {report, "served", "ONLY=served", true},
        {report, "served", "ONLY=report", true},
        {report, "served", "ONLY=bash", false},
        {report, "/no/such/served", "ONLY=served", true},
        {report, "served: worker", "ONLY=served", false},
        {report, "", "ONLY=report", true},
        {report, "", "ONLY=other", false},
    };
    for (const auto& row : rows) {
      // bash must be left alone, or it would report as well.
      const Finished finished = run(report_as(row.path, row.name, {row.only, "LOG=warn"}));
      CAPTURE(row.path);
      CAPTURE(row.name);
      CAPTURE(row.only);
      REQUIRE(finished.how() == "exit 0");
      CHECK(is_left_out(finished) != row.locks);
      CHECK((row.locks || finished.err.empty() || row.only == "ONLY=bash"));
    }
  }

  TEST_CASE("an interpreter and a multi-call program") {
    const std::string script = names_folder() + "/script";
    std::ofstream(script) << "#!" << linked("interpreter", "/bin/sh")
                          << "\nwhile read -r line; do echo \"$line\"; done < "
                             "/proc/self/status\n";
    fs::permissions(script, fs::perms{0755});
    const std::string shell = fs::canonical("/bin/sh").filename();
    const std::string applet = linked("applet", "/bin/sh");
    const std::vector<std::string> by_path = {script};
    const std::vector<std::string> by_applet = {applet, script};
    const std::string shell_only = "ONLY=" + shell;
    struct {
      std::vector<std::string> arguments;
      std::string only;
      bool locks;
    } const rows[] = {
        {by_path, "ONLY=interpreter", true},    {by_path, shell_only, true},
        {by_path, "ONLY=script", false},  // the kernel runs the interpreter by its own name
        {by_applet, "ONLY=applet", true},       {by_applet, shell_only, true},
        {by_applet, "ONLY=interpreter", false},
    };
    for (const auto& row : rows) {
      Launch launch = shimmed("report", {}, {row.only});
      launch.arguments = row.arguments;
      const Finished finished = run(launch);
      CAPTURE(row.arguments.front());
      CAPTURE(row.only);
      REQUIRE(finished.how() == "exit 0");
      CHECK(is_left_out(finished) != row.locks);
    }
  }

  TEST_CASE("left out: neither limit nor child is touched, and nothing is said below debug") {
    for (const std::string_view log : {"LOG=off", "LOG=error", "LOG=warn", "LOG=info"}) {
      const Finished finished = run(shimmed("report", {}, {"ONLY=other", log}));
      CHECK(finished.how() == "exit 0");
      CHECK(finished.err.empty());
      CHECK(is_left_out(finished));
      CHECK(locked_after_mapping(finished) == 0);
    }
    const Finished finished = run(shimmed("report", {}, {"ONLY=other", "LOG=debug"}));
    CHECK(finished.err == line_of(finished, "report", expected::left_alone()));
    Launch soft = shimmed("report", {}, {"ONLY=other"});
    limit_locking(soft, 64 * kKiB, kMiB);
    CHECK(field(run(soft).out, "memlock ") == "65536 1048576");
    const Finished tree = run(shimmed("forker", {"tree", "0"}, {"ONLY=other", "REQUIRED=1"}));
    CHECK(tree.how() == "exit 0");
    CHECK(number(section(tree.out, "grandchild"), "VmLck:") == 0);
  }

  TEST_CASE("left out: other variables' errors do not concern it") {
    const Finished finished =
        run(shimmed("report", {}, {"ONLY=other", "REQUIRED=1", "FORK=x", "FUTUR=1"}));
    CHECK(finished.how() == "exit 0");
    CHECK(finished.err.empty());
  }

  TEST_CASE("a malformed list is a configuration error, and all lock") {
    for (const std::string_view list : {":", "a:", ":a", "a::b", "/bin/report", "a:b/c", "a/"}) {
      const std::string only = "ONLY=" + std::string(list);
      const Finished finished = run(shimmed("report", {}, {only}));
      const Finished required = run(shimmed("report", {}, {only, "REQUIRED=1"}));
      const std::string problem =
          line_of(finished, "report",
                  "DUENDE_MLOCK_ONLY=\"" + std::string(list) +
                      "\" is not accepted; accepted: base names, : between; default: all");
      CAPTURE(list);
      CHECK(finished.how() == "exit 0");
      CHECK(finished.err.substr(0, problem.size()) == problem);
      CHECK(required.how() == "signal 6");
      CHECK(required.err.substr(required.err.find(']')) == problem.substr(problem.find(']')));
    }
  }
}

namespace {

using Calls = std::map<std::string, long>;

/// How often each system call is made; those of the dynamic linker left out.
Calls count_calls(const Names& variables, bool preloaded) {
  Launch launch = shimmed("report", {}, variables);
  if (!preloaded) {
    launch.environment.clear();
  }
  launch.arguments = {"/bin/true"};
  const Finished finished = run(traced(launch));
  REQUIRE(finished.how() == "exit 0");
  std::istringstream lines(finished.err);
  Calls calls;
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find('('));
    const bool loads = line.find("preload.so") != std::string::npos || name == "mmap" ||
                       name == "mprotect" || name == "close" || name == "read" ||
                       name == "newfstatat" || name == "fstat" || name == "pread64" ||
                       name == "munmap" || name == "brk" || name == "execve" || name[0] == '+';
    if (!loads) {
      ++calls[name];
    }
  }
  return calls;
}

}  // namespace

TEST_SUITE("calls") {
  TEST_CASE(
      "left out: the executable's name is asked for, and whether a filter would kill for that") {
    if (strace_is_missing()) {
      return;
    }
    Calls bare = count_calls({}, false);
    const Calls left_out = count_calls({"ONLY=other"}, true);
    const Calls locked = count_calls({"ONLY=true"}, true);
    const std::set<std::string> kAllowed = {"readlinkat", "readlink", "openat", "read", "close"};
    long more = 0;
    for (const auto& [call, count] : left_out) {
      const std::string name = call;
      CAPTURE(name);
      CHECK((kAllowed.count(name) != 0 || count == bare[name]));
      more += count - bare[name];
    }
    CHECK(more <= 4);
    CHECK(locked.count("mlockall") == 1);  // or this test would see nothing
    CHECK(locked.count("prlimit64") == 1);
  }
}

}  // namespace duende::mlock::test
