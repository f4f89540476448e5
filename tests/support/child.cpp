// SPDX-License-Identifier: MIT OR Apache-2.0
#include "child.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>

#include "check.hpp"

namespace duende::mlock::test {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSetupFailed = 99;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) {
    result.push_back(text.data());
  }
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_of(const Launch& launch, const Endpoint& error) {
  constexpr std::string_view kPlaceholder = "@STDERR@";
  std::vector<std::string> environment = launch.environment;
  for (std::string& entry : environment) {
    const std::size_t at = entry.find(kPlaceholder);
    if (at != std::string::npos) {
      entry.replace(at, kPlaceholder.size(), journal_stream(error));
    }
  }
  return environment;
}

unsigned action(int answer) {
  switch (answer) {
    case kKills: return SECCOMP_RET_KILL_PROCESS;
    case kKillsThread: return SECCOMP_RET_KILL_THREAD;
    case kTraps: return SECCOMP_RET_TRAP;
    default: return SECCOMP_RET_ERRNO | static_cast<unsigned>(answer);
  }
}

void install(std::span<sock_filter> program) {
  const sock_fprog filter = {.len = static_cast<unsigned short>(program.size()),
                             .filter = program.data()};
  check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), "PR_SET_SECCOMP");
}

void install(const Refusal& refusal) {
  const auto number = static_cast<unsigned>(refusal.system_call);
  const unsigned answer = action(refusal.answer);
  const unsigned chosen = BPF_JMP | BPF_K | (refusal.bits == 0 ? BPF_JGE : BPF_JSET);
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),  // little endian
      BPF_JUMP(static_cast<unsigned short>(chosen), refusal.bits, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  install(program);
}

void connect_streams(const Descriptor& output, const Descriptor& error) {
  const int input = static_cast<int>(check(::open("/dev/null", O_RDONLY), "/dev/null"));
  check(::dup2(input, STDIN_FILENO), "dup2");
  check(::dup2(output.get(), STDOUT_FILENO), "dup2");
  if (error.is_open()) {
    check(::dup2(error.get(), STDERR_FILENO), "dup2");
  } else {
    ::close(STDERR_FILENO);
  }
  // Whatever this test was started with as well.
  if (::syscall(SYS_close_range, 3, ~0U, 1U << 2) != 0) {  // CLOSE_RANGE_CLOEXEC, Linux 5.11
    for (int number = 3; number < 1024; ++number) {
      ::fcntl(number, F_SETFD, FD_CLOEXEC);
    }
  }
}

/// In the child, up to execve. Identity after the limits: it may need root to raise them.
[[noreturn]] void start(const Launch& launch, const Descriptor& output, const Endpoint& error,
                        const Descriptor& complaint) {
  try {
    std::vector<std::string> arguments = launch.arguments;
    std::vector<std::string> environment = environment_of(launch, error);
    check(::setpgid(0, 0), "setpgid");
    check(::chdir(launch.folder.c_str()), launch.folder);
    connect_streams(output, error.child);
    for (const Limit& limit : launch.limits) {
      check(::setrlimit(static_cast<__rlimit_resource>(limit.resource), &limit.value), "setrlimit");
    }
    if (launch.set_up) {
      launch.set_up();
    }
    become(launch.identity);
    if (launch.refusal) {
      install(*launch.refusal);
    }
    if (launch.prepare) {
      launch.prepare();
    }
    ::execve(arguments[0].c_str(), pointers(arguments).data(), pointers(environment).data());
    check(-1, "execve " + arguments[0]);
  } catch (const std::exception& problem) {
    const std::string text = problem.what();
    (void)!::write(complaint.get(), text.data(), text.size());
  }
  ::_exit(kSetupFailed);
}

pid_t fork_into(bool new_pid_namespace) {
  if (!new_pid_namespace) {
    return ::fork();
  }
  return static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
}

/// Reads until the process has gone and so have all writers; false at the deadline.
bool collect(pid_t pid, const Endpoint& output, const Endpoint& error, Clock::time_point deadline,
             Finished& finished) {
  // Before Linux 5.3 the end of its output has to do.
  const long number = ::syscall(SYS_pidfd_open, pid, 0);
  const Descriptor process(
      static_cast<int>(number == -1 && errno == ENOSYS ? number : check(number, "pidfd_open")));
  const bool read_error = error.ends && error.filler == 0;
  pollfd open[] = {{output.reader.get(), POLLIN, 0},
                   {read_error ? error.reader.get() : -1, POLLIN, 0},
                   {process.get(), POLLIN, 0}};
  std::string* const into[] = {&finished.out, &finished.err, nullptr};
  while (open[0].fd >= 0 || open[1].fd >= 0 || open[2].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0 || check(::poll(open, 3, static_cast<int>(left.count())), "poll") == 0) {
      return false;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      if (open[i].revents != 0 && (into[i] == nullptr || !read_available(open[i].fd, *into[i]))) {
        open[i].fd = -1;
      }
    }
  }
  return true;
}

void throw_complaint(const Descriptor& complaint) {
  std::string text;
  read_available(complaint.get(), text);
  if (!text.empty()) {
    throw std::runtime_error("the child could not be set up: " + text);
  }
}

}  // namespace

std::string Finished::how() const {
  if (hung) {
    return "hang";
  }
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "exit " + std::to_string(WEXITSTATUS(status));
}

bool Finished::dumped_core() const { return WIFSIGNALED(status) && WCOREDUMP(status); }

void filter_calls(std::span<const long> calls, int answer) {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, action(answer)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  install(program);
}

Finished run(const Launch& launch) {
  Endpoint output = make_endpoint(Stream::pipe);
  Endpoint error = make_endpoint(launch.standard_error);
  Endpoint complaint = make_endpoint(Stream::pipe);
  // An emulated processor takes as much longer.
  const char* const slowness = std::getenv("SLOWNESS");
  const Clock::time_point deadline =
      Clock::now() + launch.deadline * (slowness == nullptr ? 1 : std::atoi(slowness));
  const pid_t pid = fork_into(launch.first_of_pid_namespace);
  check(pid, "fork");
  if (pid == 0) {
    start(launch, output.child, error, complaint.child);
  }
  output.child.reset();
  if (launch.standard_error != Stream::terminal) {
    error.child.reset();  // a terminal that nobody has open loses what was written
  }
  complaint.child.reset();
  Finished finished;
  finished.pid = launch.first_of_pid_namespace ? 1 : pid;
  finished.hung = !collect(pid, output, error, deadline, finished);
  if (finished.hung) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
  }
  check(::waitpid(pid, &finished.status, 0), "waitpid");
  if (error.reader.is_open()) {
    read_available(error.reader.get(), finished.err);
    finished.err.erase(0, error.filler);
  }
  throw_complaint(complaint.reader);
  return finished;
}

}  // namespace duende::mlock::test
