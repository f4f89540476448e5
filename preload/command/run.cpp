// SPDX-License-Identifier: MIT OR Apache-2.0
// run: a command in the place of this process, with its memory locked one way or the other.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "../capability.hpp"
#include "../kernel.hpp"
#include "elf.hpp"
#include "file.hpp"
#include "library.hpp"
#include "outside.hpp"
#include "subcommands.hpp"

namespace duende::mlock::command {

namespace {

using Way = Obstacle::Way;
using preload::kSystemKernel;

std::string find_command(const std::string& name) {
  const auto path = find_program(name);
  if (!path || !exists(*path)) {
    throw Failure(kNotFound, path.value_or(name) + ": not found");
  }
  if (!is_executable(*path)) {
    throw Failure(kNotExecutable, *path + ": not an executable file");
  }
  return *path;
}

/// The library before what LD_PRELOAD holds.
std::string with_library(const std::string& library, const std::string& preloaded) {
  for (const std::string_view entry : split(preloaded, ':')) {
    if (entry == library) {
      return preloaded;
    }
  }
  return preloaded.empty() ? library : library + ':' + preloaded;
}

void refuse_or_warn(const RunOptions& options, const std::string& why) {
  if (!options.best_effort) {
    throw Failure(kRefused, "not started: " + why);
  }
  warn("started unlocked: " + why);
}

/// DUENDE_MLOCK_STORE takes the second library, which has to reach the program; empty without.
std::string library_for_store(const RunOptions& options, const Reach& reach,
                              const std::string& library) {
  const char* const files = std::getenv("DUENDE_MLOCK_STORE");
  if (files == nullptr || *files == '\0') {
    return "";
  }
  std::string store = store_library(library);
  const auto obstacle = reach.obstacle ? reach.obstacle : library_obstacle(store);
  if (!obstacle) {
    return store;
  }
  const std::string why =
      format("its store would stay behind the page cache: {}", obstacle->text());
  if (!options.best_effort) {
    throw Failure(kRefused, "not started: " + why);
  }
  warn(why);
  return "";
}

/// Privileges that a program gains as it starts are taken from it in silence where it is traced by
/// somebody without this capability.
bool can_trace_privileged() {
  const preload::CapabilityState state =
      preload::capability(static_cast<preload::Capability>(19));  // CAP_SYS_PTRACE
  return state.effective && !state.namespaced;
}

/// What exec(2) keeps is set here; the rest is the tracer's.
void prepare_outside(Watch& watch) {
  const preload::Settings& settings = watch.settings;
  if (settings.raise_limit) {
    preload::raise_memlock_limit(kSystemKernel);
  }
  watch.limit = preload::memlock_limit(kSystemKernel);
  const auto need = [&](int error, const char* what, const char* capability) {
    if (error != 0) {
      const std::string why =
          format("{} does not hold; fix: start it as root, with {}", what, capability);
      if (settings.required) {
        throw Failure(kRefused, "not started: " + why);
      }
      warn(why);
    }
  };
  if (settings.io_flusher) {
    need(kSystemKernel.set_io_flusher(true), "IO_FLUSHER", "CAP_SYS_RESOURCE");
  }
  if (settings.realtime != 0) {
    constexpr int kRoundRobin = 2;  // SCHED_RR
    need(kSystemKernel.set_scheduling(0, {kRoundRobin, settings.realtime}), "REALTIME",
         "CAP_SYS_NICE");
  }
}

/// With the library preloaded: a look at its lock, which only --verify insists on.
void arrange_look(const RunOptions& options, const Reach& reach, Watch& watch) {
  watch.verify = options.verify || watch.settings.required;
  if (!watch.verify || !watch.settings.current) {
    return;
  }
  watch.limit = preload::memlock_limit(kSystemKernel);
  const std::string error =
      reach.interpreter.empty() ? "its loader is started by hand" : watch_next_program(watch);
  if (!error.empty() && options.verify) {
    refuse_or_warn(options,
                   format("the lock cannot be verified: {}; start it without --verify", error));
  }
}

/// The way to a lock, beside LD_PRELOAD: from outside, or a look from there.
void arrange(const RunOptions& options, const Reach& reach, const std::string& program) {
  Watch watch;
  watch.settings = preload::read_settings(preload::Environment(environ)).settings;
  watch.name = base_name(program);
  watch.executions = reach.executions;
  watch.dynamic = !reach.interpreter.empty();
  watch.musl = base_name(reach.interpreter).starts_with("ld-musl");
  if (watch.settings.nothing_to_lock() || !preload::is_selected(watch.settings, watch.name)) {
    return;
  }
  if (!reach.obstacle) {
    arrange_look(options, reach, watch);
    return;
  }
  const Obstacle& obstacle = *reach.obstacle;
  if (obstacle.way == Way::none || (obstacle.way == Way::privileged && !can_trace_privileged())) {
    refuse_or_warn(options, obstacle.text());
    return;
  }
  watch.cause = obstacle.cause;
  prepare_outside(watch);
  if (const std::string error = watch_next_program(watch); !error.empty()) {
    refuse_or_warn(options, format("{}, and it cannot be locked from outside: {}; {}",
                                   obstacle.cause, error, obstacle.remedy));
  }
}

}  // namespace

int run(const RunOptions& options) {
  const std::string program = find_command(options.command[0]);
  const std::string library = locate_library(options.settings.library);
  put_into_environment(options.settings);
  Reach reach = reach_of(
      {library, program, program, Words(options.command.begin() + 1, options.command.end()), true});
  const auto useless = library_obstacle(library);
  if (useless && (!reach.obstacle || reach.obstacle->way == Way::outside)) {
    reach.obstacle = useless;
  }
  std::string preloaded = options.preloaded;
  if (const std::string store = library_for_store(options, reach, library); !store.empty()) {
    preloaded = with_library(store, preloaded);
  }
  if (!useless && (!reach.obstacle || reach.obstacle->way != Way::foreign)) {
    preloaded = with_library(library, preloaded);
  }
  arrange(options, reach, program);
  if (!preloaded.empty()) {
    ::setenv("LD_PRELOAD", preloaded.c_str(), 1);
  }
  std::vector<char*> words;
  words.push_back(const_cast<char*>(program.c_str()));
  for (std::size_t i = 1; i < options.command.size(); ++i) {
    words.push_back(const_cast<char*>(options.command[i].c_str()));
  }
  words.push_back(nullptr);
  ::execv(words[0], words.data());
  if (errno == ENOEXEC && !read_elf(program)) {
    ::execvp(words[0], words.data());  // it has no first line that names an interpreter: the shell
  }
  const int error = errno;
  throw Failure(error == ENOENT ? kNotFound : kNotExecutable,
                format("{}: {}", program,
                       error == ENOEXEC ? "cannot be executed here" : strerrordesc_np(error)));
}

}  // namespace duende::mlock::command
