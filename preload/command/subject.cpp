// SPDX-License-Identifier: MIT OR Apache-2.0
#include "subject.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "../capability.hpp"
#include "file.hpp"
#include "reach.hpp"

namespace duende::mlock::command {

namespace {

/// What runs a process: the fix is another one in each.
Place place_of(pid_t process, bool is_unit) {
  const std::string groups =
      read_or_empty(process == 0 ? "/proc/self/cgroup" : in_proc(process, "cgroup"));
  const auto among = [&](std::string_view name) { return groups.find(name) != groups.npos; };
  if (std::getenv("KUBERNETES_SERVICE_HOST") != nullptr || among("kubepods")) {
    return Place::kubernetes;
  }
  if (among("libpod")) {
    return Place::podman;
  }
  if (among("docker")) {
    return Place::docker;
  }
  if (is_unit || (process != 0 && among(".service"))) {
    return Place::systemd;
  }
  return exists("/run/.containerenv") ? Place::podman
         : exists("/.dockerenv")      ? Place::docker
                                      : Place::shell;
}

/// The lowest memory limit of the cgroups that a process is in.
std::optional<std::uint64_t> memory_limit(const std::string& groups) {
  std::optional<std::uint64_t> lowest;
  for (const std::string_view line : split(groups, '\n')) {
    const auto parts = split(line, ':');
    if (parts.size() < 3) {
      continue;
    }
    const bool second = parts[1].empty();  // cgroups, version 2
    const auto controllers = split(parts[1], ',');
    if (!second &&
        std::find(controllers.begin(), controllers.end(), "memory") == controllers.end()) {
      continue;
    }
    std::string path(parts[2]);
    for (;;) {
      const std::string limit =
          read_or_empty((second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory") + path +
                        (second ? "/memory.max" : "/memory.limit_in_bytes"));
      const auto bytes = number(trim(limit));
      constexpr std::uint64_t kPetabyte = 1'000'000'000'000'000;  // how version 1 says "max"
      if (bytes && *bytes < kPetabyte) {
        lowest = std::min<std::uint64_t>(lowest.value_or(*bytes), *bytes);
      }
      if (path.empty() || path == "/") {
        break;
      }
      path.resize(path.rfind('/'));
    }
  }
  return lowest;
}

Facts facts_of_process(pid_t process) {
  Facts facts;
  const std::string self = "/proc/self/";
  const auto in = [&](const char* name) {
    return process == 0 ? self + name : in_proc(process, name);
  };
  const pid_t pid = process == 0 ? ::getpid() : process;
  const auto status = read_status(pid);
  const auto limits = read_limits(pid);
  if (!status || !limits) {
    usage_error(format("process {} has ended", process));
  }
  facts.status = *status;
  facts.limits = *limits;
  facts.effective = status->effective;
  facts.bounding = status->bounding;
  facts.filter = status->seccomp == 0 ? Filter::none : Filter::unknown;
  auto space = read_link(in("ns/user"));
  space = space ? space : read_link(self + "ns/user");
  facts.capabilities_count = !space || *space == preload::kInitialUserNamespace;
  facts.memory_limit = memory_limit(read_or_empty(in("cgroup")));
  return facts;
}

/// `soft:hard`, or one for both; the default of systemd is 8 MiB.
Limits limits_of_unit(const Unit& unit) {
  const std::string text = unit.value_or_empty("LimitMEMLOCK");
  const auto colon = text.find(':');
  const auto limit = [](std::string_view part) -> std::optional<std::uint64_t> {
    const UnitSize size =
        parse_unit_size(part).value_or(UnitSize{.infinite = false, .bytes = 8 << 20});
    return size.infinite ? std::nullopt : std::optional(size.bytes);
  };
  return {limit(std::string_view(text).substr(0, colon)),
          limit(colon == text.npos ? text : std::string_view(text).substr(colon + 1))};
}

/// All are root's, and those of the bounding set at most.
void read_capability(Facts& facts, const Unit& unit, const std::string& name, unsigned number) {
  using Empty = Unit::Empty;
  const std::uint64_t bit = std::uint64_t{1} << number;
  if (!unit.set_has("CapabilityBoundingSet", {name}, Empty::is_empty)) {
    facts.bounding &= ~bit;
  }
  const bool ambient = unit.value("AmbientCapabilities") &&
                       unit.set_has("AmbientCapabilities", {name}, Empty::is_empty);
  if (unit.user().empty() || ambient) {
    facts.effective |= facts.bounding & bit;
  }
}

/// What a unit that does not run would start with.
Facts facts_of_unit(const Unit& unit) {
  Facts facts;
  facts.limits = limits_of_unit(unit);
  // What there is to have, as whoever asks may have less.
  facts.bounding = read_status(1).value_or(ProcessStatus()).bounding;
  read_capability(facts, unit, "CAP_IPC_LOCK", kIpcLock);
  read_capability(facts, unit, "CAP_SYS_RESOURCE", kSysResource);
  facts.capabilities_count = !unit.is_on("PrivateUsers");
  const bool passes =
      unit.set_has("SystemCallFilter", {"mlockall", "@memlock", "@system-service", "@known"},
                   Unit::Empty::begins_anew);
  facts.filter = passes ? Filter::none : Filter::refuses;
  const auto size = unit.size("MemoryMax");
  facts.memory_limit = size && !size->infinite ? std::optional(size->bytes) : std::nullopt;
  return facts;
}

/// The program that a process runs may have been replaced since, or be in a container: only the
/// kernel's link leads to it.
void find_executable(Subject& subject) {
  const auto status = read_status(subject.process);
  if (!status || !status->size) {
    usage_error(
        format("{}: there is no such process here, or it is one of the kernel's", subject.process));
  }
  subject.file = in_proc(subject.process, "exe");
  const std::string line = read_or_empty(in_proc(subject.process, "cmdline"));
  subject.arguments.clear();
  for (const std::string_view word : split(line, '\0')) {
    subject.arguments.emplace_back(word);
  }
  if (auto running = read_link(subject.file)) {
    constexpr std::string_view kDeleted = " (deleted)";
    subject.program = running->ends_with(kDeleted)
                          ? running->substr(0, running->size() - kDeleted.size())
                          : *running;
  }
}

void find_unit(Subject& subject, const std::string& name, const std::string& target) {
  subject.unit.emplace(name, "", true);
  if (!subject.unit->exists()) {
    usage_error(target + ": there is no such command, process or unit here");
  }
  subject.arguments = subject.unit->command();
  const std::string program = subject.unit->program();
  const std::string root = subject.unit->root_directory();
  subject.program = find_program(program).value_or(program);
  subject.file = root + subject.program;
  subject.process = running_process(name);
}

}  // namespace

Subject find_subject(const std::string& target) {
  Subject subject;
  const auto program = find_program(target);
  if (const auto pid = number(target)) {
    subject.process = static_cast<pid_t>(std::min<unsigned long long>(*pid, 0x7fffffff));
  } else if (target.ends_with(".service") || (!target.empty() && !program)) {
    find_unit(subject, target.ends_with(".service") ? target : target + ".service", target);
  } else if (!target.empty()) {
    subject.program = subject.file = *program;
    if (!is_file(*program)) {
      usage_error(target + ": there is no such command, process or unit here");
    }
  }
  if (subject.process != 0) {
    find_executable(subject);
  }
  subject.facts = subject.unit && subject.process == 0 ? facts_of_unit(*subject.unit)
                                                       : facts_of_process(subject.process);
  subject.facts.place = place_of(subject.process, subject.unit.has_value());
  return subject;
}

}  // namespace duende::mlock::command
