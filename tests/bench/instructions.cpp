// SPDX-License-Identifier: MIT OR Apache-2.0
// Instructions that each library adds to /bin/true in user space: single-stepped, so no noise.
#include <fcntl.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <string>

#include "measure.hpp"

namespace {

using namespace duende::mlock::bench;

[[noreturn]] void become_true(const std::string& preload) {
  ::personality(ADDR_NO_RANDOMIZE);
  std::string variable = "LD_PRELOAD=" + preload;
  char path[] = "PATH=/usr/bin:/bin";
  char name[] = "true";
  char* const environment[] = {path, preload.empty() ? nullptr : variable.data(), nullptr};
  char* const arguments[] = {name, nullptr};
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDERR_FILENO);
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) {
    ::execve("/bin/true", arguments, environment);
  }
  ::_exit(127);
}

/// From the first instruction of the dynamic linker to the exit; 0 where nothing can be traced.
[[nodiscard]] long instructions(const std::string& preload) {
  const pid_t child = ::fork();
  if (child == 0) {
    become_true(preload);
  }
  int status = 0;
  long count = 0;
  while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    must(WSTOPSIG(status) == SIGTRAP, "a step");
    ++count;
    must(::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0, "PTRACE_SINGLESTEP");
  }
  const bool untraceable = WIFEXITED(status) && WEXITSTATUS(status) == 127;
  must(untraceable || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "/bin/true");
  return untraceable ? 0 : count;
}

}  // namespace

/// instructions THIS BARE: the paths of the libraries.
int main(int argc, char** argv) {
  must(argc == 3, "usage: instructions THIS BARE");
  const long none = instructions("");
  if (none == 0) {
    std::printf("skipped: ptrace(2) is not allowed here\n");
    return 77;
  }
  std::printf("instructions in user space, /bin/true, by single steps\n");
  std::printf("%-18s %10s %10s\n", "preloaded", "in all", "added");
  std::printf("%-18s %10ld %10s\n", "no library", none, "");
  const char* const names[] = {"bare constructor", "duende-mlock"};
  const char* const paths[] = {argv[2], argv[1]};
  for (int i = 0; i < 2; ++i) {
    const long count = instructions(paths[i]);
    must(count > none, names[i]);
    std::printf("%-18s %10ld %10ld\n", names[i], count, count - none);
  }
}
