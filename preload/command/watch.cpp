// SPDX-License-Identifier: MIT OR Apache-2.0
// The tracer of `run`: waits for the program to be executed, locks it before its first instruction
// or looks at its lock before its main(), and goes.
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "../code.hpp"
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

/// By the library's policy; or not, and why it would not survive that.
OutsideOutcome lock_stopped(Thread& program, const preload::LockPlan& plan,
                            std::string& objection) {
  const pid_t pid = program.id();
  auto held = lock_held(program, plan, plan.spare_growth ? stack_begin(pid) : std::nullopt);
  // There is no data mapped yet, and of little code nothing is evictable, and none is V8's.
  if (!held.locked || held.charged <= preload::CodeBudget::kFree) {
    return held;
  }
  objection = objection_to_lock(pid);
  if (!objection.empty()) {
    (void)program.call(Call::munlockall);
    return {};
  }
  unlock_ranges(program, file_policy(pid, plan).evictable);
  held.charged = read_status(pid).value_or(ProcessStatus()).charged.value_or(0);
  return held;
}

[[noreturn]] void lock_program(Thread& program, const Watch& watch) {
  const bool able = program.finish_exec();
  if (able && watch.verify && is_locked_at_entry(program, watch)) {
    let_go(program);
  }
  const auto plan = plan_from_outside(watch.settings, watch.limit);
  std::string objection;
  const auto lock = [&] { return lock_stopped(program, plan, objection); };
  OutsideOutcome outcome = able ? lock() : OutsideOutcome{};
  if (outcome.locked && !plan.future && watch.dynamic && !watch.verify) {
    // What its loader has mapped by then as well.
    outcome = program.run_to_entry() ? lock() : OutsideOutcome{};
  }
  std::string text = !objection.empty()
                         ? "not locked: " + objection
                         : describe(outcome, plan, watch.settings, watch.limit, program.id());
  const std::string cause = watch.cause.empty() ? "LD_PRELOAD was without effect" : watch.cause;
  if (!outcome.locked && watch.settings.required) {
    refuse(program, watch, text);
  }
  (void)program.put_back();
  if (!(watch.verify && watch.musl)) {
    say(watch.settings, outcome.locked ? LogLevel::info : LogLevel::warn, program.id(), watch.name,
        text + "; from outside: " + cause);
  }
  const bool detached = program.detach();
  if (outcome.locked && plan.current_onfault) {
    // While it runs, which will fault in most of it anyway.
    make_resident(program.id(), file_policy(program.id(), plan).code);
  }
  ::_exit(detached ? 0 : 1);
}

// ---- from the launcher to its tracer

/// What the two have in common until the launcher's exec(2), which leaves the memory to the tracer:
/// a clone that copies nothing costs a tenth of a fork. The heap is the launcher's until then, and
/// errno, too.
struct Session {
  Watch watch;
  pid_t launcher = ::getpid();
  bool filtered = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
  /// An orphan of PID 1 is a child of PID 1: there, the tracer is one from the start, and stays as
  /// a zombie that nobody hears of.
  bool init = launcher == 1;
  /// Yama wants the tracer to be named by its PID first.
  std::atomic<int> may_begin = ::prctl(PR_SET_PTRACER, 0, 0, 0, 0) == 0 ? 0 : 1;
  /// The tracer's PID as long as it has not answered; 0 if it ended before. Then kTraced, or an
  /// errno below that.
  std::atomic<int> answer = 0;
};
constexpr int kTraced = -1;

/// Not private: the kernel's own word about a thread's end, CLONE_CHILD_CLEARTID, is not either.
void wait_while(std::atomic<int>& word, int value) {
  while (word == value) {
    ::syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
  }
}
void tell(std::atomic<int>& word, int value) {
  word = value;
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

int trace(void* argument) {
  Session& session = *static_cast<Session*>(argument);
  const Watch& watch = session.watch;
  wait_while(session.may_begin, 0);
  Thread program(session.launcher);
  const int options = PTRACE_O_TRACEEXEC | (watch.settings.required ? int{PTRACE_O_EXITKILL} : 0);
  const int error = program.seize(options) ? 0 : errno;
  ::syscall(SYS_set_tid_address, nullptr);  // its end is no news any more
  tell(session.answer, kTraced - error);
  if (error != 0) {
    ::_exit(1);
  }
  // While the launcher goes on.
  ::setsid();  // no signal of the terminal comes here
  ::prctl(PR_SET_NAME, "duende-tracer");
  ::signal(SIGCHLD, SIG_DFL);
  await_execution(program, watch.executions);
  lock_program(program, watch);
}

/// Nobody hears of its end: no SIGCHLD, and wait() without __WALL passes it over.
pid_t clone_unheard(int (*run)(void*), char* stack_end, int flags, Session& session) {
  return ::clone(run, stack_end, CLONE_VM | flags, &session, &session.answer, nullptr,
                 &session.answer);
}

void start_tracer(Session& session) {
  alignas(16) static char stack[256 * 1024];
  if (clone_unheard(trace, std::end(stack), CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID, session) <
      0) {
    session.answer = kTraced - errno;
  }
}

/// Between the two, so that nobody has to wait for the tracer. A seccomp filter may kill for the
/// lock, and is inherited over exec; what it is asked with here has no effect.
int prepare_tracer(void* argument) {
  Session& session = *static_cast<Session*>(argument);
  if (session.filtered) {
    (void)detail::kSystemKernel.mlockall(detail::kMclOnfault);
  }
  if (!session.init) {
    start_tracer(session);
  }
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
  Session& session = *new Session{watch};  // the tracer's, in the end
  alignas(16) static char stack[16 * 1024];
  const pid_t child = clone_unheard(prepare_tracer, std::end(stack), CLONE_VFORK, session);
  if (child < 0) {
    return std::strerror(errno);
  }
  int end = 0;
  ::waitpid(child, &end, __WALL);
  if (WIFSIGNALED(end)) {
    return "a seccomp filter kills for mlockall";
  }
  if (session.init) {
    start_tracer(session);
  }
  const int tracer = session.answer;
  if (tracer > 0) {
    if (session.may_begin == 0) {
      ::prctl(PR_SET_PTRACER, tracer, 0, 0, 0);
      tell(session.may_begin, 1);
    }
    wait_while(session.answer, tracer);
  }
  const int answer = session.answer;
  return answer == kTraced ? "" : reason(answer == 0 ? EIO : kTraced - answer);
}

}  // namespace duende::mlock::command
