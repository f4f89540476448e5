// SPDX-License-Identifier: MIT OR Apache-2.0
// Every cause of a lock that does not hold, by really being there: the whole line, and its fix.
#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "check.hpp"
#include "deployment.hpp"
#include "precondition.hpp"
#include "preload/command/explanations.hpp"

namespace duende::mlock::test {

namespace {

constexpr Place kHere = Place::shell;
constexpr int kCapSysNice = 23;
constexpr unsigned kSetIoFlusherAlone = 8;  // a bit of 57, and of no other prctl made here
constexpr unsigned kOnfault = 4;

/// Who or what is to change, where this depends on the place.
enum class Fix : unsigned char { text, none, limit, held, held_or_told, resource, nice, seccomp };

struct Row {
  std::string_view cause;
  std::string says;  // up to the fix
  Fix fix = Fix::text;
  std::string_view fix_text = {};
  Identity identity = Identity::user;
  rlim_t limit = kDefaultLimit;
  Names variables = {};
  std::optional<Refusal> refusal = std::nullopt;
  int out_of_bounding_set = -1;
  bool without_proc = false;
  std::vector<std::string> program = {"true"};
  std::string around = {};  // all of stderr, where the line is not alone: `@` stands for it
};

std::string failed(std::string_view errno_name, std::string_view why,
                   std::string_view flags = "MCL_CURRENT|MCL_ONFAULT") {
  return "not locked: mlockall(" + std::string(flags) + ") failed with " + std::string(errno_name) +
         ": " + std::string(why);
}

std::string too_large(std::string_view why) {
  return failed("ENOMEM",
                "the address space (# KiB) exceeds RLIMIT_MEMLOCK (64 KiB), and "
                "CAP_IPC_LOCK " +
                    std::string(why));
}

const std::string kAll = "MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT";
const std::string kBounding = "is in the bounding set but not effective";
const std::string kNotHonoured =
    "not locked: mlockall answered 0 but VmLck is 0: a sandbox, or a sanitizer the program was "
    "built with, ignores it";
const Names kLockNothing = {"CURRENT=0", "FUTURE=0"};

Names nothing_but(std::string_view variable) {
  Names variables = kLockNothing;
  variables.push_back(variable);
  return variables;
}

std::string line_then_nothing() { return "@" + any_line("true", expected::nothing_to_lock()); }

std::string fixed(const std::string& text) {
  return text + "; fix: " + expected::fix_of_limit(kHere);
}

/// As root, before it drops what makes the line.
std::string start_line() {
  return any_line("dropper", fixed(expected::exempt_until_dropped(kDefaultLimit)));
}

std::string drop_line() {
  return any_line("dropper", fixed(expected::dropped(kDefaultLimit, false)));
}

std::vector<Row> rows_of_the_limit() {
  return {
      {.cause = "the limit is 0",
       .says =
           failed("EPERM", "RLIMIT_MEMLOCK (0 KiB) allows no lock, and CAP_IPC_LOCK " + kBounding),
       .fix = Fix::limit,
       .limit = 0},
      {.cause = "the limit is smaller than the address space",
       .says = too_large(kBounding),
       .fix = Fix::limit,
       .limit = 64 * kKiB},
      {.cause = "the limit binds what is mapped later",
       .says = "locked (# MB): current, on-fault; not future: allocations beyond RLIMIT_MEMLOCK "
               "(8192 KiB) would fail, and CAP_IPC_LOCK " +
               kBounding,
       .fix = Fix::limit},
      {.cause = "the same, with `FUTURE=1` or `REQUIRED=1`",
       .says = "locked (# MB): current and future, on-fault; the limit binds: allocations beyond "
               "RLIMIT_MEMLOCK (8192 KiB) fail (# KiB are left), and CAP_IPC_LOCK " +
               kBounding,
       .fix = Fix::limit,
       .variables = {"FUTURE=1"}},
      {.cause = "the limit may be raised, and `RAISE_LIMIT=0`",
       .says = failed("EPERM",
                      "RLIMIT_MEMLOCK (0 KiB, hard limit infinite) allows no lock, and "
                      "CAP_IPC_LOCK " +
                          kBounding),
       .fix_text = "leave DUENDE_MLOCK_RAISE_LIMIT on",
       .limit = RLIM_INFINITY,
       .variables = {"RAISE_LIMIT=0"}},
      {.cause = "only the capability lifts the limit",
       .says = expected::lifted(kDefaultLimit),
       .fix = Fix::held_or_told,
       .identity = Identity::root},
      {.cause = "only the capability lifts the limit, and `FUTURE=1`",
       .says = expected::exempt_until_dropped(kDefaultLimit),
       .fix = Fix::held,
       .identity = Identity::root,
       .variables = {"FUTURE=1"}},
      {.cause = "the daemon has dropped that capability (root)",
       .says = expected::dropped(kDefaultLimit, false),
       .fix = Fix::held,
       .identity = Identity::root,
       .variables = {"FUTURE=1"},
       .program = {"dropper", "setuid", "threads"},
       .around = start_line() + "@"},
  };
}

std::vector<Row> rows_of_the_capability() {
  return {
      {.cause = "the capability: not granted to this container or unit",
       .says = too_large("is not in the bounding set"),
       .fix = Fix::limit,
       .limit = 64 * kKiB,
       .out_of_bounding_set = kCapIpcLock},
      {.cause = "the capability: switched off by the daemon, in a child",
       .says = expected::child_current_only(kDefaultLimit,
                                            "CAP_IPC_LOCK is permitted but not effective"),
       .fix = Fix::limit,
       .identity = Identity::root,
       .variables = {"FUTURE=1"},
       .program = {"dropper", "capset-effective", "work"},
       .around = start_line() + drop_line() + "@"},
      {.cause = "the capability: of a user namespace (rootless)",
       .says = too_large("does not count: it is held only in a user namespace"),
       .fix_text = "raise the hard limit of the user who creates the namespace, beforehand",
       .identity = Identity::root_of_namespace,
       .limit = 64 * kKiB},
  };
}

std::vector<Row> rows_of_the_call() {
  const auto refuse = [](int answer) { return Refusal{SYS_mlockall, answer}; };
  return {
      {.cause = "a seccomp filter",
       .says = failed("EPERM", "a seccomp filter refuses it"),
       .fix = Fix::seccomp,
       .refusal = refuse(EPERM)},
      {.cause = "a seccomp filter that denies the call",
       .says = failed("ENOSYS", "a seccomp filter refuses it"),
       .fix = Fix::seccomp,
       .refusal = refuse(ENOSYS)},
      {.cause = "a seccomp filter that kills",
       .says = "not locked: a seccomp filter kills for mlockall",
       .fix = Fix::seccomp,
       .refusal = refuse(kKills)},
      // A security module cannot be had for a test; a filter that nobody can see can.
      {.cause = "a security module, or a sandbox that does not show",
       .says = failed("EPERM", "a security module or sandbox refuses it"),
       .fix_text = "allow ipc_lock in its policy",
       .refusal = refuse(EPERM),
       .without_proc = true},
      {.cause = "accepted, but not honoured: a sandbox",
       .says = kNotHonoured,
       .fix_text = "run it without",
       .refusal = refuse(0)},
      {.cause = "accepted, but not honoured: a sanitizer",
       .says = kNotHonoured,
       .fix_text = "run it without",
       .identity = Identity::root,
       .program = {"sanitized"}},
      {.cause = "Linux before 4.4",
       .says = "locked (# MB): current, populated (MCL_ONFAULT was refused with EINVAL: Linux 4.4 "
               "has it)",
       .fix = Fix::none,
       .identity = Identity::root,
       .variables = {"FUTURE=0"},
       .refusal = Refusal{SYS_mlockall, EINVAL, kOnfault}},
      {.cause = "no memory",
       .says = failed("ENOMEM", "no memory left, or more mappings than vm.max_map_count", kAll),
       .fix_text = "raise one of them",
       .identity = Identity::root,
       .variables = {"FUTURE=1"},
       .refusal = refuse(ENOMEM)},
      {.cause = "`/proc` is not mounted",
       .says = "locked (size unknown: /proc cannot be read): current, on-fault",
       .fix = Fix::none,
       .identity = Identity::root,
       .variables = {"FUTURE=0"},
       .without_proc = true},
  };
}

std::vector<Row> rows_of_the_other_settings() {
  const auto refuse = [](int answer) { return Refusal{SYS_prctl, answer, kSetIoFlusherAlone}; };
  const std::string lacks = " is not in the bounding set";
  return {
      {.cause = "`IO_FLUSHER` without its capability",
       .says = expected::no_io_flusher("failed with EPERM: CAP_SYS_RESOURCE" + lacks, false),
       .fix = Fix::resource,
       .variables = nothing_but("IO_FLUSHER=1"),
       .out_of_bounding_set = kCapSysResource,
       .around = line_then_nothing()},
      {.cause = "`IO_FLUSHER` on Linux before 5.6",
       .says = expected::no_io_flusher("failed with EINVAL: this kernel does not have it", false),
       .fix_text = "Linux 5.6",
       .variables = nothing_but("IO_FLUSHER=1"),
       .refusal = refuse(EINVAL),
       .around = line_then_nothing()},
      {.cause = "`IO_FLUSHER` accepted, but not honoured",
       .says = expected::no_io_flusher("answered 0 without an effect: a sandbox ignores it", false),
       .fix_text = "run it without",
       .variables = nothing_but("IO_FLUSHER=1"),
       .refusal = refuse(0),
       .around = line_then_nothing()},
      {.cause = "`REALTIME` without its capability",
       .says = expected::no_realtime("failed with EPERM: CAP_SYS_NICE" + lacks, false),
       .fix = Fix::nice,
       .variables = nothing_but("REALTIME=1"),
       .out_of_bounding_set = kCapSysNice,
       .around = line_then_nothing()},
  };
}

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (const auto& rows : {rows_of_the_limit(), rows_of_the_capability(), rows_of_the_call(),
                           rows_of_the_other_settings()}) {
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

std::string fix_of(const Row& row, Place place) {
  switch (row.fix) {
    case Fix::text: return std::string(row.fix_text);
    case Fix::none: return {};
    case Fix::limit: return expected::fix_of_limit(place);
    case Fix::held: return expected::fix_of_held(place);
    case Fix::held_or_told: return expected::fix_of_held(place) + ", or DUENDE_MLOCK_FUTURE=1";
    case Fix::resource: return expected::fix_of_capability(place, "SYS_RESOURCE");
    case Fix::nice: return expected::fix_of_capability(place, "SYS_NICE");
    case Fix::seccomp: return expected::fix_of_seccomp(place);
  }
  return {};
}

std::string whole_line(const Row& row, Place place) {
  const std::string fix = fix_of(row, place);
  return any_line(row.program[0], row.says + (fix.empty() ? "" : "; fix: " + fix));
}

std::string whole_error(const Row& row, Place place) {
  std::string error = row.around.empty() ? "@" : row.around;
  return error.replace(error.find('@'), 1, whole_line(row, place));
}

Launch launch_of(const Row& row, Place place) {
  const std::vector<std::string> arguments(row.program.begin() + 1, row.program.end());
  Launch launch = placed(place, row.program[0], arguments, row.variables);
  if (row.program[0] == "true") {
    launch.arguments = {"/bin/true"};
  }
  launch.identity = row.identity;
  limit_locking(launch, row.limit == RLIM_INFINITY ? 0 : row.limit, row.limit);
  launch.refusal = row.refusal;
  launch.set_up = [row, place] {
    enter(place);
    if (row.out_of_bounding_set >= 0) {
      check(::prctl(PR_CAPBSET_DROP, row.out_of_bounding_set, 0, 0, 0), "PR_CAPBSET_DROP");
    }
  };
  if (row.without_proc) {
    launch.set_up = hide_proc;
    launch.environment.emplace_back("KUBERNETES_SERVICE_HOST=10.0.0.1");  // nothing else is certain
  }
  return launch;
}

bool is_missing(const Row& row) {
  if (is_missing(row.identity) || is_missing(Identity::root)) {
    return true;
  }
  const std::string limit = missing_for_limit(row.limit);
  if (!limit.empty()) {
    return skip(limit);
  }
  const bool host_is_missing = row.program[0] != "true" && !Stage::get().has_host(row.program[0]);
  return host_is_missing && skip("a program built as " + row.program[0]);
}

/// As REQUIRED has the line begin, and what it asks mlockall for.
std::string as_required(std::string text) {
  const auto replace = [&text](std::string_view from, const std::string& to) {
    const std::size_t at = text.find(from);
    if (at != std::string::npos) {
      text.replace(at, from.size(), to);
    }
  };
  replace("not locked: ", expected::not_locked(true));
  replace("does not hold: ", "does not hold, and DUENDE_MLOCK_REQUIRED is on: ");
  replace("mlockall(MCL_CURRENT|MCL_ONFAULT)", "mlockall(" + kAll + ')');
  return text;
}

bool fails(const Row& row) {
  return row.says.find("not ") == 0 || row.says.find("does not hold") != std::string::npos;
}

}  // namespace

TEST_SUITE("causes") {
  TEST_CASE("each is explained, and not as a success") {
    for (const Row& row : all_rows()) {
      for (const Place place : kPlaces) {
        const std::string line = whole_line(row, place);
        const command::Explanation* const known = command::explanation_of(line);
        CAPTURE(line);
        REQUIRE(known != nullptr);
        CHECK(known->line != "locked (...)");
      }
    }
  }

  TEST_CASE("each, as the whole of stderr; the program runs") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Row& row : all_rows()) {
      if (is_missing(row)) {
        continue;
      }
      const Finished finished = run(launch_of(row, kHere));
      CAPTURE(row.cause);
      CHECK(finished.how() == "exit 0");
      check_error(finished, whole_error(row, kHere));
    }
  }

  TEST_CASE("with REQUIRED, whatever fails aborts, for the same reason") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Row& row : all_rows()) {
      const bool only_in_best_effort = row.fix_text == "mount /proc";
      if (!fails(row) || only_in_best_effort || is_missing(row)) {
        continue;
      }
      Launch launch = launch_of(row, kHere);
      add_variables(launch, {"REQUIRED=1"});
      const Finished finished = run(launch);
      CAPTURE(row.cause);
      CHECK(finished.how() == "signal 6");
      check_error(finished, as_required(whole_error(row, kHere)));
    }
  }
}

namespace {

/// A line of every kind of fix.
std::vector<Row> rows_of_places(Place place) {
  const auto here = [place](const std::string& text) {
    return text + "; fix: " + expected::fix_of_held(place);
  };
  std::vector<Row> rows;
  for (const Row& row : all_rows()) {
    if (row.fix != Fix::text && row.fix != Fix::none && !row.without_proc) {
      rows.push_back(row);
    }
  }
  for (Row& row : rows) {
    if (row.program[0] == "dropper") {
      const bool child = row.program[1] == "capset-effective";
      row.around =
          any_line("dropper", here(expected::exempt_until_dropped(kDefaultLimit))) +
          (child ? any_line("dropper", here(expected::dropped(kDefaultLimit, false))) : "") + "@";
    }
  }
  return rows;
}

void check_place(Place place, Place told, const std::string& variable) {
  for (const Row& row : rows_of_places(told)) {
    // A child has another number, by which it is in the machine's own control group.
    const bool child = row.program[0] == "dropper" && row.program[1] == "capset-effective";
    if ((child && told == Place::systemd) || is_missing(row)) {
      continue;
    }
    Launch launch = launch_of(row, place);
    if (!variable.empty()) {
      launch.environment.push_back(variable);
    }
    const Finished finished = run(launch);
    CAPTURE(name_of(place));
    CAPTURE(row.cause);
    CHECK(finished.how() == "exit 0");
    check_error(finished, whole_error(row, told));
  }
}

}  // namespace

TEST_SUITE("places") {
  TEST_CASE("the fix is that of the place") {
    if (surroundings_are_missing()) {
      return;
    }
    for (const Place place : kPlaces) {
      check_place(place, place, {});
    }
  }

  TEST_CASE("Kubernetes, known by its variable alone: in children and at a drop as well") {
    if (surroundings_are_missing()) {
      return;
    }
    check_place(Place::docker, Place::kubernetes, "KUBERNETES_SERVICE_HOST=10.0.0.1");
  }
}

namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

std::string cell(std::string text) {
  replace_all(text, "#", "N");
  replace_all(text, "|", "\\|");
  return text;
}

std::string code(const std::string& text) { return '`' + cell(text) + '`'; }

std::string fix_cell(const Row& row) {
  switch (row.fix) {
    case Fix::text: return code(std::string(row.fix_text));
    case Fix::none: return "none needed";
    case Fix::limit:
    case Fix::held: return "the limit, as below";
    case Fix::held_or_told: return "the limit, as below, or `DUENDE_MLOCK_FUTURE=1`";
    case Fix::resource:
    case Fix::nice: return "the capability, as below";
    case Fix::seccomp: return "the filter, as below";
  }
  return {};
}

std::string table() {
  std::string text = "| cause | what the line says | fix |\n|---|---|---|\n";
  for (const Row& row : all_rows()) {
    text += "| " + std::string(row.cause) + " | " + code(row.says) + " | " + fix_cell(row) + " |\n";
  }
  return text;
}

std::string table_of_places() {
  std::string text =
      "| where | a limit that binds | a missing capability | a seccomp filter "
      "|\n|---|---|---|---|\n";
  for (const Place place :
       {Place::systemd, Place::docker, Place::podman, Place::kubernetes, Place::shell}) {
    std::string limit = expected::fix_of_limit(place);
    std::string capability = expected::fix_of_capability(place, "X");
    replace_all(limit, kUnit, "UNIT");
    replace_all(limit, "`", "");
    replace_all(capability, kUnit, "UNIT");
    text += "| " + std::string(name_of(place)) + " | " + code(limit) + " | " + code(capability) +
            " | " + code(expected::fix_of_seccomp(place)) + " |\n";
  }
  return text;
}

std::string reference() {
  const char* const path = std::getenv("DUENDE_MLOCK_REFERENCE");
  REQUIRE(path != nullptr);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void check_reference(const std::string& expected_table) {
  const bool same = reference().find(expected_table) != std::string::npos;
  if (!same) {
    std::cout << "REFERENCE.md is to have:\n\n" << expected_table << '\n';
  }
  CHECK(same);
}

}  // namespace

TEST_SUITE("reference") {
  TEST_CASE("REFERENCE.md has the causes") { check_reference(table()); }
  TEST_CASE("REFERENCE.md has the places") { check_reference(table_of_places()); }
}

}  // namespace duende::mlock::test
