// SPDX-License-Identifier: MIT OR Apache-2.0
// Start-up cost: /bin/true from spawn to exit, without and with each library preloaded.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <string>

#include "measure.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr int kSpawns = 1500;

struct Way {
  const char* name;
  std::string preload;
  Samples samples = {};
};

/// Where the children's stderr goes: a pipe, as under most supervisors.
struct Pipe {
  Pipe() { must(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2"); }
  /// True when something was written.
  [[nodiscard]] bool drain() const {
    char buffer[4096];
    bool written = false;
    while (::read(ends[0], buffer, sizeof buffer) > 0) {
      written = true;
    }
    return written;
  }
  int ends[2];
};

void spawn_true(const std::string& preload, const Pipe& errors) {
  std::string variable = "LD_PRELOAD=" + preload;
  char path[] = "PATH=/usr/bin:/bin";
  char* const environment[] = {path, preload.empty() ? nullptr : variable.data(), nullptr};
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, errors.ends[1], STDERR_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, "/bin/true", &actions, nullptr, arguments, environment);
  must(error == 0, "posix_spawn");
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  must(::waitpid(child, &status, 0) == child && status == 0, "/bin/true");
}

/// One round of all ways after the other, so that whatever else the machine does meets all.
void measure(std::vector<Way>& ways, const Pipe& errors) {
  for (int round = 0; round < kSpawns; ++round) {
    for (Way& way : ways) {
      way.samples.add(time_of([&] { spawn_true(way.preload, errors); }));
      // A library that is not found, or does not lock, would look fast.
      must(
          errors.drain() == (way.preload.find("bare") == std::string::npos && !way.preload.empty()),
          way.name);
    }
  }
}

}  // namespace

/// startup THIS BARE IOSTREAM: the paths of the libraries.
int main(int argc, char** argv) {
  must(argc == 4, "usage: startup THIS BARE IOSTREAM");
  const Pipe errors;
  std::vector<Way> ways = {{"no library", ""},
                           {"bare constructor", argv[2]},
                           {"duende-mlock", argv[1]},
                           {"iostream", argv[3]}};
  measure(ways, errors);
  const Samples& bare = ways[1].samples;
  std::printf("/bin/true, spawn to exit, %d times each, interleaved\n", kSpawns);
  std::printf("%-18s %10s %10s  %s\n", "preloaded", "min us", "median us",
              "ratio to bare: min median");
  for (const Way& way : ways) {
    std::printf("%-18s %10.0f %10.0f %19.2f %6.2f\n", way.name, way.samples.minimum(),
                way.samples.median(), way.samples.minimum() / bare.minimum(),
                way.samples.median() / bare.median());
  }
}
