// SPDX-License-Identifier: MIT OR Apache-2.0
#include "verdict.hpp"

#include "file.hpp"
#include "library.hpp"
#include "outside.hpp"

namespace duende::mlock::command {

namespace {

std::optional<bool> preloads(pid_t pid) {
  const auto variables = read_environment(pid);
  if (!variables) {
    return std::nullopt;
  }
  const auto value = find_variable(*variables, "LD_PRELOAD");
  return value && value->find(kLibraryName) != value->npos;
}

std::optional<std::uint64_t> read_pinned(pid_t pid) {
  const std::string text = read_or_empty(in_proc(pid, "smaps_rollup"));
  for (const std::string_view line : split(text, '\n')) {
    if (const auto value = after(line, "Locked:")) {
      const auto count = number(words_of(*value).at(0));
      return count ? std::optional<std::uint64_t>(*count * 1024) : std::nullopt;
    }
  }
  return std::nullopt;
}

/// More than 1% of what is resident.
bool is_noticeable(std::uint64_t size, const ProcessStatus& status) {
  return size * 100 > status.resident.value_or(0);
}

/// Of a process with memory of its own.
State verdict(const ProcessStatus& status, const Mappings& mappings) {
  if (status.charged.value_or(0) == 0) {
    return State::unlocked;
  }
  if (!mappings.known()) {
    return State::unknown;
  }
  // What is swapped out is not locked, or was not when it went, and waits for its device.
  const bool partly = is_noticeable(mappings.open_size, status) || status.swapped.value_or(0) != 0;
  return partly ? State::partly : State::locked;
}

State without_memory(const std::optional<ProcessStatus>& status) {
  return !status ? State::gone : status->state == 'Z' ? State::zombie : State::kernel;
}

}  // namespace

Look look_at(pid_t pid) {
  Look look = {.pid = pid,
               .state = State::gone,
               .status = read_status(pid),
               .mappings = {},
               .pinned = {},
               .limits = {},
               .threads = {},
               .preloaded = {},
               .build = {}};
  if (!look.status || !look.status->charged) {
    look.state = without_memory(look.status);
    return look;
  }
  look.preloaded = preloads(pid);
  look.limits = read_limits(pid);
  look.mappings = parse_smaps(read_or_empty(in_proc(pid, "smaps")),
                              [pid](std::string_view path) { return is_never_swapped(pid, path); });
  look.pinned = read_pinned(pid);
  look.build = look.mappings.library ? build_of(pid) : Build();
  look.threads = read_threads(pid);
  // It may have ended while it was looked at: what can be read last decides.
  const auto last = look.mappings.known() ? look.status : read_status(pid);
  look.state = last && last->charged ? verdict(*look.status, look.mappings) : without_memory(last);
  return look;
}

std::string_view name_of(State state) noexcept {
  switch (state) {
    case State::locked: return "locked";
    case State::partly: return "partly";
    case State::unlocked: return "unlocked";
    case State::unknown: return "unknown";
    case State::gone: return "gone";
    case State::zombie: return "zombie";
    case State::kernel: break;
  }
  return "kernel";
}

bool concerns_library(pid_t pid) {
  return preloads(pid).value_or(false) || maps_library(read_or_empty(in_proc(pid, "maps")));
}

std::string_view Look::locked_by() const noexcept {
  if (state != State::locked && state != State::partly) {
    return "";
  }
  return mappings.library ? "library" : "itself";
}

std::optional<bool> Look::future() const noexcept {
  if (!mappings.known()) {
    return std::nullopt;
  }
  return status->charged.value_or(0) != 0 && mappings.open == 0;
}

std::string_view Look::on_fault() const noexcept {
  if (mappings.locked == 0) {
    return "";
  }
  return mappings.on_fault == mappings.locked ? "yes" : mappings.on_fault != 0 ? "both" : "no";
}

std::string_view Look::note() const noexcept {
  switch (state) {
    case State::gone: return "gone";
    case State::zombie: return "zombie";
    case State::kernel: return "kernel thread";
    default: break;
  }
  if (!mappings.known()) {
    return "not permitted to see all";
  }
  if (preloaded.value_or(false) && !mappings.library) {
    return "LD_PRELOAD names the library, but it is not loaded";
  }
  if (mappings.library && state == State::unlocked) {
    return "the library is loaded, nothing is locked";
  }
  if (status->swapped.value_or(0) != 0 && state == State::partly) {
    return "some of it is in swap";
  }
  if (build.outdated().value_or(false)) {
    return "runs another build of the library than the one installed";
  }
  return state == State::locked && is_noticeable(mappings.evictable_size, *status)
             ? "files that it maps stay evictable"
             : "";
}

}  // namespace duende::mlock::command
