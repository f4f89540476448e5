// SPDX-License-Identifier: MIT OR Apache-2.0
// Start-up cost: small programs from spawn to exit, without and with each library preloaded.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <string>

#include "measure.hpp"

namespace {

using namespace duende::mlock::bench;

struct Library {
  const char* name;
  std::string path;
  bool speaks;  // on stderr
};

struct Program {
  const char* name;
  std::string path;
  const char* argument;
  int spawns;
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

void spawn(const Program& program, const std::string& preload, const Pipe& errors) {
  std::string variable = "LD_PRELOAD=" + preload;
  char search[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* const environment[] = {search, preload.empty() ? nullptr : variable.data(), nullptr};
  std::string name = program.path;
  std::string argument = program.argument;
  char* const arguments[] = {name.data(), argument.empty() ? nullptr : argument.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, errors.ends[1], STDERR_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, name.c_str(), &actions, nullptr, arguments, environment);
  must(error == 0, "posix_spawn");
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  must(::waitpid(child, &status, 0) == child && status == 0, program.name);
}

/// One round of all libraries after the other, so that whatever else the machine does meets all.
[[nodiscard]] std::vector<Samples> measure(const Program& program,
                                           const std::vector<Library>& libraries,
                                           const Pipe& errors) {
  std::vector<Samples> samples(libraries.size());
  for (int round = 0; round < program.spawns; ++round) {
    for (std::size_t i = 0; i < libraries.size(); ++i) {
      samples[i].add(time_of([&] { spawn(program, libraries[i].path, errors); }));
      // A library that is not found, or does not lock, would look fast.
      must(errors.drain() == libraries[i].speaks, libraries[i].name);
    }
  }
  return samples;
}

void compare(const Program& program, const std::vector<Library>& libraries, const Pipe& errors) {
  if (::access(program.path.c_str(), X_OK) != 0) {
    std::printf("\n%s: not measured, for it is not installed\n", program.name);
    return;
  }
  const std::vector<Samples> samples = measure(program, libraries, errors);
  const Samples& bare = samples[1];
  std::printf("\n%s, %d times each, interleaved\n", program.name, program.spawns);
  std::printf("%-18s %10s %10s  %s\n", "preloaded", "min us", "median us",
              "ratio to bare: min median");
  for (std::size_t i = 0; i < libraries.size(); ++i) {
    std::printf("%-18s %10.0f %10.0f %19.2f %6.2f\n", libraries[i].name, samples[i].minimum(),
                samples[i].median(), samples[i].minimum() / bare.minimum(),
                samples[i].median() / bare.median());
  }
}

}  // namespace

/// startup THIS BARE IOSTREAM MANY [NBDKIT]: paths of the libraries, and of programs.
int main(int argc, char** argv) {
  must(argc >= 5, "usage: startup THIS BARE IOSTREAM MANY [NBDKIT]");
  const Pipe errors;
  const std::vector<Library> libraries = {{"no library", "", false},
                                          {"bare constructor", argv[2], false},
                                          {"duende-mlock", argv[1], true},
                                          {"iostream", argv[3], true}};
  const Program programs[] = {{"/bin/true", "/bin/true", "", 1000},
                              {"a program of 200 libraries", argv[4], "", 200},
                              {"nbdkit --version", argc > 5 ? argv[5] : "", "--version", 60}};
  std::printf("start-up, from spawn to exit\n");
  for (const Program& program : programs) {
    compare(program, libraries, errors);
  }
}
