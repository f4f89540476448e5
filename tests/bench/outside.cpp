// SPDX-License-Identifier: MIT OR Apache-2.0
// What a lock from outside costs: a static program from spawn to exit, started by `duende-mlock
// run` and by less; how long `attach` stops a thread of a program that has many.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <cstring>
#include <string>

#include "measure.hpp"

extern char** environ;

namespace {

using namespace duende::mlock::bench;

using Words = std::vector<std::string>;

pid_t spawn(const Words& words, int output, int errors) {
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (output >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  }
  ::posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  must(error == 0, words[0].c_str());
  return child;
}

void run(const Words& words, int errors) {
  int status = 0;
  must(::waitpid(spawn(words, -1, errors), &status, 0) > 0 && status == 0, words[0].c_str());
}

// ---- run

void measure_start(const std::string& command, const std::string& library, const std::string& quiet,
                   const std::string& executes, const std::string& least) {
  constexpr int kRounds = 500;
  // FUTURE, so that a finite limit makes no difference.
  const Words options = {"--library", library, "--log", "error", "--future", quiet};
  Words with_options = {command, "run"};
  with_options.insert(with_options.end(), options.begin(), options.end());
  const struct {
    const char* name;
    Words words;
  } rows[] = {{"alone", {quiet}},
              {"a wrapper that only executes", {executes, quiet}},
              {"the least that locks", {least, quiet}},
              {"duende-mlock run", {command, "run", quiet}},
              {"the same with options", with_options}};
  std::vector<Samples> samples(std::size(rows));
  ::setenv("DUENDE_MLOCK_LIBRARY", library.c_str(), 1);
  ::setenv("DUENDE_MLOCK_FUTURE", "1", 1);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < std::size(rows); ++i) {
      samples[i].add(time_of([&] { run(rows[i].words, nowhere); }));
    }
  }
  std::printf("a static program, from spawn to exit, %d times each, interleaved\n", kRounds);
  std::printf("%-30s %8s %10s  %s\n", "started by", "min us", "median us",
              "ratio to the wrapper: min median");
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    std::printf("%-30s %8.0f %10.0f %26.2f %6.2f\n", rows[i].name, samples[i].minimum(),
                samples[i].median(), samples[i].minimum() / samples[1].minimum(),
                samples[i].median() / samples[1].median());
  }
}

// ---- attach

void* wait_for_ever(void*) {
  for (;;) {
    ::pause();
  }
}

/// The program that is stopped: prints how long mlockall takes when it calls it itself, unlocks,
/// and waits.
int many_threads(int count) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, 64 * 1024);
  for (int i = 1; i < count; ++i) {
    pthread_t thread;
    must(::pthread_create(&thread, &attributes, wait_for_ever, nullptr) == 0, "pthread_create");
  }
  Samples own;
  for (int i = 0; i < 20; ++i) {
    ::munlockall();
    int answer = 0;
    constexpr int kOnFault = 4;  // MCL_ONFAULT
    own.add(time_of([&] { answer = ::mlockall(MCL_CURRENT | kOnFault); }));
    must(answer == 0, "mlockall");
  }
  ::munlockall();
  std::printf("%f\n", own.median());
  std::fclose(stdout);
  wait_for_ever(nullptr);
  return 0;
}

/// Microseconds, as `attach` has them.
struct Stop {
  double median = 0;
  double longest = 0;
};

Stop stop_of(const std::string& command, pid_t program, const char* action) {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  Words words = {command, action};
  if (std::string(action) == "attach") {
    words.insert(words.end(), {"--log", "debug"});
  }
  words.push_back(std::to_string(program));
  run(words, ends[1]);
  ::close(ends[1]);
  std::FILE* const text = ::fdopen(ends[0], "re");
  char line[512];
  Stop stop;
  while (std::fgets(line, sizeof line, text) != nullptr) {
    const char* const said = std::strstr(line, ": stopped ");
    (void)(said != nullptr &&
           std::sscanf(said, ": stopped %*d times, at the median for %lf us, at most for %lf us",
                       &stop.median, &stop.longest));
  }
  std::fclose(text);
  return stop;
}

void measure_stop(const std::string& command, const std::string& self, int threads) {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  const pid_t program = spawn({self, "threads", std::to_string(threads)}, ends[1], STDERR_FILENO);
  ::close(ends[1]);
  std::FILE* const output = ::fdopen(ends[0], "re");
  double own = 0;
  must(std::fscanf(output, "%lf", &own) == 1, "the program with threads");
  Samples median;
  Samples longest;
  for (int i = 0; i < 25; ++i) {
    const Stop stop = stop_of(command, program, "attach");
    must(stop.longest != 0, "attach");
    median.add(Microseconds(stop.median));
    longest.add(Microseconds(stop.longest));
    (void)stop_of(command, program, "unlock");
  }
  std::fclose(output);
  ::kill(program, SIGKILL);
  ::waitpid(program, nullptr, 0);
  std::printf("%8d %14.0f %14.0f %22.0f\n", threads, median.median(), longest.median(), own);
}

}  // namespace

/// outside COMMAND LIBRARY QUIET EXECUTES LEAST: paths of the programs, static but for this one.
int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "threads") {
    return many_threads(std::atoi(argv[2]));
  }
  must(argc == 6, "usage: outside COMMAND LIBRARY QUIET EXECUTES LEAST");
  measure_start(argv[1], argv[2], argv[3], argv[4], argv[5]);
  std::printf("\nattach: how long a thread is stopped that makes a call, medians of 25 times\n");
  std::printf("%8s %14s %14s %22s\n", "threads", "the median, us", "the longest",
              "mlockall alone, us");
  for (const int threads : {1, 100, 1000}) {
    measure_stop(argv[1], argv[0], threads);
  }
}
