// SPDX-License-Identifier: MIT OR Apache-2.0
// The tracer of `run`: waits for the program to be executed, locks it before its first instruction
// or looks at its lock before its main(), and goes.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "file.hpp"
#include "outside.hpp"
#include "process.hpp"

namespace duende::mlock::command {

namespace {

using preload::LogLevel;

/// Ends the program before its first instruction. Its own exit comes first, as PID 1 of a container
/// ignores a SIGKILL from inside.
[[noreturn]] void refuse(Thread& program, const Watch& watch, const std::string& why) {
  say(watch.settings, LogLevel::error, program.id(), watch.name, why);
  (void)program.call(Call::exit_group, kRefused);
  ::kill(program.id(), SIGKILL);
  ::_exit(1);  // PTRACE_O_EXITKILL
}

[[noreturn]] void let_go(Thread& program) {
  ::_exit(program.put_back() && program.detach() ? 0 : 1);
}

/// Waits for the execution of the program; ends if there is none.
void await_execution(Thread& program, unsigned executions) {
  while (executions != 0) {
    const Stop stop = program.wait();
    if (stop.kind == Stop::Kind::gone) {
      ::_exit(0);
    }
    executions -= stop.kind == Stop::Kind::event && stop.event == PTRACE_EVENT_EXEC ? 1 : 0;
    if (executions != 0) {
      program.pass_on(stop);
    }
  }
}

/// Whether the program has come to its entry point with a lock of the library's.
bool is_locked_at_entry(Thread& program, const Watch& watch) {
  if (!program.run_to_entry()) {
    ::_exit(0);  // the library has ended it, or its loader has
  }
  const auto status = read_status(program.id());
  const bool loaded = maps_library(read_or_empty(in_proc(program.id(), "maps")));
  // What the library could not lock, it has said itself, where it may go on without.
  return status &&
         (status->charged.value_or(0) != 0 || (loaded && !watch.musl && !watch.settings.required));
}

[[noreturn]] void lock_program(Thread& program, const Watch& watch) {
  const bool able = program.finish_exec();
  if (able && watch.verify && is_locked_at_entry(program, watch)) {
    let_go(program);
  }
  const auto plan = plan_from_outside(watch.settings, watch.limit);
  OutsideOutcome outcome = able ? lock_held(program, plan) : OutsideOutcome{};
  if (outcome.locked && !plan.future && watch.dynamic && !watch.verify) {
    // What its loader has mapped by then as well.
    outcome = program.run_to_entry() ? lock_held(program, plan) : OutsideOutcome{};
  }
  std::string text = describe(outcome, plan, watch.settings, watch.limit, program.id());
  const std::string cause = watch.cause.empty() ? "LD_PRELOAD was without effect" : watch.cause;
  if (!outcome.locked && watch.settings.required) {
    refuse(program, watch, text);
  }
  (void)program.put_back();
  if (outcome.locked && plan.current_onfault) {
    make_code_resident(program.id());
  }
  if (!(watch.verify && watch.musl)) {
    say(watch.settings, outcome.locked ? LogLevel::info : LogLevel::warn, program.id(), watch.name,
        text + "; from outside: " + cause);
  }
  ::_exit(program.detach() ? 0 : 1);
}

[[noreturn]] void trace(pid_t launcher, int channel, const Watch& watch) {
  ::setsid();  // no signal of the terminal comes here
  ::prctl(PR_SET_NAME, "duende-tracer");
  ::signal(SIGCHLD, SIG_DFL);
  char byte = 0;
  if (::read(channel, &byte, 1) != 1) {  // the launcher has named this process to Yama
    ::_exit(1);
  }
  Thread program(launcher);
  const int options = PTRACE_O_TRACEEXEC | (watch.settings.required ? int{PTRACE_O_EXITKILL} : 0);
  const int error = program.seize(options) ? 0 : errno;
  (void)!::write(channel, &error, sizeof error);
  ::close(channel);
  if (error != 0) {
    ::_exit(1);
  }
  await_execution(program, watch.executions);
  lock_program(program, watch);
}

/// A fork of which the parent hears nothing: no SIGCHLD, and wait() without __WALL passes it over.
pid_t fork_unheard() { return static_cast<pid_t>(::syscall(SYS_clone, 0, 0, 0, 0, 0)); }

/// A seccomp filter may kill for it, and is inherited over exec. Only whether this process lives
/// matters.
[[noreturn]] void try_lock() {
  (void)detail::kSystemKernel.mlockall(detail::kMclFuture | detail::kMclOnfault);
  ::_exit(0);
}

std::string reason(int error) {
  if (error != EPERM) {
    return std::strerror(error);
  }
  if (read_status(::getpid()).value_or(ProcessStatus()).tracer != 0) {
    return "something else traces it already";
  }
  const std::string scope(trim(read_or_empty("/proc/sys/kernel/yama/ptrace_scope")));
  return scope == "2" || scope == "3"
             ? format("kernel.yama.ptrace_scope is {}", scope)
             : std::string(
                   "ptrace(2) is not permitted here: a security module or a seccomp filter");
}

}  // namespace

std::string watch_next_program(const Watch& watch) {
  int channel[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) {
    return std::strerror(errno);
  }
  const Descriptor near(channel[0]);
  const pid_t self = ::getpid();
  // Forked twice, so that nobody has to wait for the tracer; the one in between tries the lock. An
  // orphan of PID 1 is a child of PID 1: there one fork has to do, and it leaves a zombie that
  // nobody hears of.
  const bool init = self == 1;
  pid_t child = fork_unheard();
  if (child == 0) {
    ::close(channel[0]);
    if (!init && fork_unheard() != 0) {
      try_lock();
    }
    const auto own = static_cast<pid_t>(::syscall(SYS_getpid));
    (void)!::write(channel[1], &own, sizeof own);
    trace(self, channel[1], watch);
  }
  ::close(channel[1]);
  if (init && child > 0) {
    child = fork_unheard();
    if (child == 0) {
      try_lock();
    }
  }
  if (child < 0) {
    return std::strerror(errno);
  }
  int trial = 0;
  ::waitpid(child, &trial, __WALL);
  if (WIFSIGNALED(trial)) {
    return "a seccomp filter kills for mlockall";
  }
  pid_t tracer = 0;
  int error = EIO;
  if (::read(near.number(), &tracer, sizeof tracer) == sizeof tracer) {
    ::prctl(PR_SET_PTRACER, tracer, 0, 0, 0);  // EINVAL without Yama
    (void)!::send(near.number(), "g", 1, MSG_NOSIGNAL);
    (void)!::read(near.number(), &error, sizeof error);
  }
  return error == 0 ? "" : reason(error);
}

}  // namespace duende::mlock::command
