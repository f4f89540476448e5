// SPDX-License-Identifier: MIT OR Apache-2.0
// check: what is in the way of a lock, a finding a line, with one fix each.
#include <algorithm>
#include <cstdio>

#include "colour.hpp"
#include "file.hpp"
#include "library.hpp"
#include "subcommands.hpp"
#include "subject.hpp"
#include "swap.hpp"
#include "verdict.hpp"

namespace duende::mlock::command {

namespace {

class Report {
 public:
  void ok(const char* topic, const std::string& text) {
    print("ok", Colour::good, topic, text, "");
  }
  void warn(const char* topic, const std::string& text, const std::string& fix) {
    print("warn", Colour::doubtful, topic, text, fix);
  }
  void fail(const char* topic, const std::string& text, const std::string& fix) {
    failed_ = true;
    print("FAIL", Colour::bad, topic, text, fix);
  }
  void fail(const char* topic, const Obstacle& obstacle) {
    fail(topic, obstacle.cause, obstacle.remedy);
  }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  static void print(const char* kind, Colour colour, const char* topic, const std::string& text,
                    const std::string& fix) {
    const std::string line =
        format("{}  {}: {}{}{}\n", in_colour(colour, format("{:<4}", kind)), topic, printable(text),
               fix.empty() ? "" : "; fix: ", printable(fix));
    std::fwrite(line.data(), 1, line.size(), stdout);
  }

  bool failed_ = false;
};

const char* name_of(Place place) { return place == Place::docker ? "docker" : "podman"; }

std::string limit_fix(const Subject& subject) {
  switch (subject.facts.place) {
    case Place::kubernetes:
      return "Kubernetes cannot raise it: add the capability IPC_LOCK and run as root";
    case Place::docker:
    case Place::podman:
      return format("{} run --ulimit memlock=-1:-1", name_of(subject.facts.place));
    case Place::systemd:
      return format("LimitMEMLOCK=infinity in the unit (duende-mlock systemd {})",
                    subject.unit_name());
    case Place::shell: break;
  }
  return "as root, 'ulimit -l unlimited' in the shell that starts it";
}

std::string capability_fix(const Subject& subject) {
  switch (subject.facts.place) {
    case Place::kubernetes:
      return "securityContext: capabilities: add: [IPC_LOCK], and run as root";
    case Place::docker:
    case Place::podman:
      return format("{} run --cap-add=IPC_LOCK, and as root", name_of(subject.facts.place));
    case Place::systemd:
      return format("AmbientCapabilities=CAP_IPC_LOCK in the unit (duende-mlock systemd {})",
                    subject.unit_name());
    case Place::shell: break;
  }
  return "setpriv --inh-caps=+ipc_lock --ambient-caps=+ipc_lock, as root";
}

// ---- the library

/// The first line that the library or the loader said of it; what to look at, if they said nothing.
std::string words_of_library(std::string_view output) {
  for (const std::string_view line : split(output, '\n')) {
    if (line.starts_with("duende-mlock[") || line.starts_with("ERROR: ld.so")) {
      return std::string(line);
    }
  }
  return "see what ldd says of it, and whether its file system is mounted noexec";
}

/// A cat under the library prints what it has locked and mapped.
void try_library(Report& report, const Subject& subject, const std::string& library,
                 const std::string& cat) {
  const std::string output =
      all_output_of({cat, "/proc/self/status", "/proc/self/maps"},
                    {"LD_PRELOAD=" + library, "DUENDE_MLOCK_ONLY=", "DUENDE_MLOCK_REQUIRED=0",
                     "DUENDE_MLOCK_LOG=warn"});
  if (output.find(real_path(library).value_or(library)) == output.npos) {
    report.fail("library", library + " is not loaded", words_of_library(output));
    return;
  }
  // How much this process may lock says nothing of a unit or of another process.
  if (!subject.is_this_process()) {
    report.ok("library", library + " is loaded");
  } else if (parse_status(output).charged.value_or(1) == 0) {
    report.fail("library", library + " is loaded but locks nothing", words_of_library(output));
  } else {
    report.ok("library", library + " is loaded, and locks");
  }
}

void check_library(Report& report, const Subject& subject, const std::string& library) {
  if (const auto obstacle = library_obstacle(library)) {
    report.fail("library", *obstacle);
    return;
  }
  const auto cat = find_program("cat");
  if (!cat) {
    report.warn("library", "not tried: there is no cat here", "none needed");
    return;
  }
  const Reach reach = reach_of({library, *cat, *cat, {}, true});
  if (reach.obstacle) {
    report.fail("library", "not tried: " + reach.obstacle->cause, reach.obstacle->remedy);
    return;
  }
  try_library(report, subject, library, *cat);
}

// ---- the program, the process, the unit

void check_program(Report& report, const Subject& subject, const std::string& library) {
  const std::string& program = subject.program;
  if (subject.process == 0 && !is_file(subject.file)) {
    report.fail("program",
                format("{} starts {}, which is not there", subject.unit_name(),
                       program.empty() ? "nothing" : subject.file),
                "correct its ExecStart=");
  } else if (!is_readable(subject.file)) {
    report.warn("program",
                format("{} cannot be read by this user",
                       program.empty() ? format("that of {}", subject.process) : program),
                "ask as root");
  } else if (const Reach reach = reach_of({library, subject.file, program, {}, false});
             reach.obstacle) {
    report.fail("program", *reach.obstacle);
  } else {
    report.ok("program", "LD_PRELOAD reaches " + program);
  }
}

void check_process(Report& report, const Subject& subject) {
  const auto maps = read_file(in_proc(subject.process, "maps"));
  if (!maps || maps->empty()) {
    report.warn("process",
                format("what {} has loaded cannot be seen by this user", subject.process),
                "ask as root");
  } else if (maps_library(*maps)) {
    report.ok("process", format("{} has the library loaded", subject.process));
  } else {
    report.fail("process", format("{} runs without the library", subject.process),
                "start it anew with the library");
  }
}

/// Whether the library's file is where the unit will look for it.
void check_preloaded(Report& report, const Unit& unit, std::string_view preloaded) {
  for (const std::string_view entry : split(preloaded, ':')) {
    const std::string path = unit.root_directory() + std::string(entry);
    if (entry.find(kLibraryName) == entry.npos) {
      continue;
    }
    const bool bound = !unit.values("BindReadOnlyPaths").empty() ||
                       !unit.values("BindPaths").empty() || !unit.values("RootImage").empty();
    if (entry.starts_with('/') && !exists(path) && !bound) {
      report.fail("unit", format("{} preloads {}, which is not there", unit.name(), path),
                  "install it, or: duende-mlock systemd --install " + unit.name());
      return;
    }
    report.ok("unit", unit.name() + " preloads the library");
    return;
  }
}

void check_unit(Report& report, const Unit& unit) {
  const Unit::Environment environment = unit.environment();
  const std::string value = Unit::value_of(environment, "LD_PRELOAD");
  if (value.find(kLibraryName) != value.npos) {
    check_preloaded(report, unit, value);
    return;
  }
  const std::string file = unit.file_that_sets("LD_PRELOAD");
  report.fail("unit", unit.name() + " does not preload the library",
              file.empty() ? "duende-mlock systemd --install " + unit.name()
                           : "name the library in LD_PRELOAD of " + file +
                                 ", which counts for more than Environment=");
}

// ---- limits

std::string bytes(std::optional<std::uint64_t> limit) {
  return limit ? std::to_string(*limit) : "unlimited";
}

void check_limit(Report& report, const Subject& subject) {
  const auto& [soft, hard] = subject.facts.limits;
  const std::string at_most = format("RLIMIT_MEMLOCK is {} bytes at most", bytes(hard));
  if (!soft) {
    report.ok("limit", "RLIMIT_MEMLOCK is unlimited");
  } else if (!hard || subject.facts.has(kSysResource)) {
    report.ok("limit",
              format("RLIMIT_MEMLOCK is {} bytes, but the library can raise it", bytes(soft)));
  } else if (subject.facts.has(kIpcLock)) {
    report.warn(
        "limit",
        at_most + ": CAP_IPC_LOCK goes beyond it, but not in a daemon that has dropped root",
        limit_fix(subject));
  } else if (*hard == 0) {
    report.fail("limit", "RLIMIT_MEMLOCK is 0: nothing can be locked", limit_fix(subject));
  } else {
    report.fail("limit", at_most + ": beyond it, new memory is not locked or cannot be had",
                limit_fix(subject));
  }
}

void check_capability(Report& report, const Subject& subject) {
  const Facts& facts = subject.facts;
  if (facts.has(kIpcLock)) {
    report.ok("capability", "CAP_IPC_LOCK is effective, and counts");
  } else if (!facts.limits.soft || !facts.limits.hard) {
    report.ok("capability", "CAP_IPC_LOCK does not count here, but the limit does without it");
  } else if (facts.holds(kIpcLock)) {
    report.fail("capability",
                "CAP_IPC_LOCK is effective in a user namespace only, and does not count",
                limit_fix(subject));
  } else if ((facts.bounding >> kIpcLock & 1) != 0) {
    report.fail("capability",
                "CAP_IPC_LOCK is in the bounding set, but not effective for this user",
                capability_fix(subject));
  } else {
    report.fail("capability", "CAP_IPC_LOCK is not in the bounding set", capability_fix(subject));
  }
}

void check_filter(Report& report, const Subject& subject) {
  const std::uint64_t charged = subject.facts.status.charged.value_or(0);
  if (subject.facts.filter == Filter::none) {
    report.ok("seccomp", "no filter that is known to refuse mlockall");
  } else if (subject.facts.filter == Filter::refuses) {
    report.fail("seccomp", format("SystemCallFilter= of {} refuses mlockall", subject.unit_name()),
                format("SystemCallFilter=@memlock in the unit (duende-mlock systemd {})",
                       subject.unit_name()));
  } else if (subject.is_this_process()) {
    report.ok("seccomp", "a filter; the library line says whether mlockall passes it");
  } else if (charged != 0) {
    report.ok("seccomp", format("a filter, which let process {} lock {} KiB", subject.process,
                                charged / 1024));
  } else {
    report.warn("seccomp",
                format("process {} has a filter, which may refuse mlockall", subject.process),
                "let mlockall pass (in a unit: SystemCallFilter=@memlock)");
  }
}

/// Locked memory counts against memory.max, and cannot be reclaimed.
void check_memory_limit(Report& report, const Subject& subject) {
  const auto& most = subject.facts.memory_limit;
  const std::uint64_t size = subject.facts.status.size.value_or(0);
  const std::uint64_t resident = subject.facts.status.resident.value_or(0);
  if (!most) {
    report.ok("memory", "no cgroup limits it");
    return;
  }
  const std::string is = format("memory.max is {} KiB", *most / 1024);
  if (subject.process == 0) {
    report.ok("memory", is + ", which has to hold all of the daemon");
  } else if (*most < resident) {
    report.fail("memory", format("{}, and {} KiB are resident", is, resident / 1024),
                "raise it (MemoryMax=, docker run --memory, resources.limits.memory)");
  } else if (*most < size) {
    report.warn("memory",
                format("{}: it holds the {} KiB resident, but not all {}", is, resident / 1024,
                       size / 1024),
                "do not use --populate");
  } else {
    report.ok("memory", format("{}, and the whole address space {}", is, size / 1024));
  }
}

// ---- swap

/// Whether all its threads are IO flushers, or those of the unit will be.
bool has_profile(const Subject& subject) {
  if (subject.process != 0) {
    const Threads threads = read_threads(subject.process);
    return threads.count != 0 && threads.count == threads.flushers;
  }
  if (!subject.unit) {
    return false;
  }
  return Unit::value_of(subject.unit->environment(), "DUENDE_MLOCK_PROFILE") == "swap-device";
}

void check_swap(Report& report, const Subject& subject) {
  const Words devices = swap_devices();
  if (devices.empty()) {
    report.ok("swap", "there is none now");
  }
  for (const std::string& device : devices) {
    const std::string kind = swap_kind(device);
    const std::string is = format("{} ({})", device, kind);
    if (kind.empty()) {
      report.ok("swap", device + ", which the kernel serves itself");
    } else if (!may_serve(kind, device, subject.program, subject.process)) {
      report.ok("swap", is + ", served by some other daemon");
    } else if (has_profile(subject)) {
      report.ok("swap", is + ", served by this very daemon, which is an IO flusher");
    } else {
      report.warn("swap", is + " may be served by this very daemon",
                  subject.unit
                      ? "duende-mlock systemd --install --swap-device " + subject.unit->name()
                      : "start it with --swap-device");
    }
  }
}

/// The second library, in the process or in what the unit will preload.
bool has_store_library(const Subject& subject) {
  if (subject.process != 0) {
    return read_or_empty(in_proc(subject.process, "maps")).find(kStoreLibraryName) !=
           std::string::npos;
  }
  if (!subject.unit) {
    return false;
  }
  const Unit::Environment environment = subject.unit->environment();
  return Unit::value_of(environment, "LD_PRELOAD").find(kStoreLibraryName) != std::string::npos &&
         environment.count("DUENDE_MLOCK_STORE") != 0;
}

/// Of those that serve swap: of one with the profile for it, or while there is swap of that kind.
void check_store(Report& report, const Subject& subject) {
  const Words devices = swap_devices();
  const bool serves =
      has_profile(subject) || std::any_of(devices.begin(), devices.end(), [&](const auto& device) {
        const std::string kind = swap_kind(device);
        return !kind.empty() && may_serve(kind, device, subject.program, subject.process);
      });
  if (!serves || !is_behind_page_cache(subject.program, subject.arguments)) {
    return;
  }
  const std::string_view name = base_name(subject.program);
  if (has_store_library(subject)) {
    report.ok("store", format("{} keeps it past the page cache, by {}", name, kStoreLibraryName));
    return;
  }
  report.warn(
      "store",
      format("{} serves swap from a store behind the page cache, which neither the lock nor "
             "the profile covers",
             name),
      name == "qemu-nbd" ? "--cache=none"
      : subject.unit
          ? "duende-mlock systemd --install --swap-device --store PATH " + subject.unit->name()
          : "start it by duende-mlock run --swap-device --store PATH");
}

int check_target(const std::string& target, const std::string& said) {
  const Subject subject = find_subject(target);
  const std::string library = locate_library(said);
  Report report;
  check_library(report, subject, library);
  if (!target.empty()) {
    check_program(report, subject, library);
  }
  if (subject.process != 0) {
    check_process(report, subject);
  }
  if (subject.unit) {
    check_unit(report, *subject.unit);
  }
  check_limit(report, subject);
  check_capability(report, subject);
  check_filter(report, subject);
  check_memory_limit(report, subject);
  check_swap(report, subject);
  check_store(report, subject);
  return report.failed() ? 1 : 0;
}

/// Every unit that names the library, or has the drop-in for it.
int check_all(const std::string& library) {
  int worst = 0;
  for (const std::string& name : all_units("")) {
    const bool has_drop_in = exists(format("/etc/systemd/system/{}.d/{}", name, kDropInName));
    if (has_drop_in || Unit(name, "", true).preloads_library()) {
      std::printf("%s\n", name.c_str());
      std::fflush(stdout);
      worst = std::max(worst, check_target(name, library));
    }
  }
  return worst;
}

}  // namespace

int check(const CheckOptions& options) {
  if (options.all) {
    return check_all(options.library);
  }
  return check_target(options.target, options.library);
}

}  // namespace duende::mlock::command
