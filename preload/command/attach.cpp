// SPDX-License-Identifier: MIT OR Apache-2.0
// attach, unlock: a lock taken or given back in a process that runs, by one of its threads, which
// is stopped for a moment.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "../capability.hpp"
#include "../kernel.hpp"
#include "file.hpp"
#include "outside.hpp"
#include "process.hpp"
#include "subcommands.hpp"
#include "unit.hpp"

namespace duende::mlock::command {

namespace {

using preload::Capability;
using preload::LogLevel;
using preload::MemlockLimit;
using preload::Settings;

constexpr int kPrSetIoFlusher = 57;  // Linux 5.6
constexpr int kPatience = 5000;      // ms until a thread that does not stop is let be

// ---- which thread

/// The less its program notices of a stop, the better: what the kernel restarts by itself, then
/// what runs, then what answers EINTR to any stop (signal(7), "Interruption of system calls and
/// library functions by stop signals"), then what may not stop for long.
enum class Disturbance : unsigned char { none, little, some, stuck, ended };

Disturbance disturbance(pid_t pid, pid_t thread) {
  const std::string folder = format("/proc/{}/task/{}/", pid, thread);
  const std::string stat = read_or_empty(folder + "stat");
  const auto name_end = stat.rfind(") ");
  const char state = name_end == stat.npos ? 'X' : stat[name_end + 2];
  if (state == 'Z' || state == 'X') {
    return Disturbance::ended;
  }
  if (state == 'D') {
    return Disturbance::stuck;
  }
  const std::string call = read_or_empty(folder + "syscall");
  const auto waits_in = number(call.substr(0, call.find(' ')));
  if (!waits_in) {
    return Disturbance::little;
  }
  const auto end = std::end(kNotRestarted);
  return std::find(std::begin(kNotRestarted), end, *waits_in) != end ? Disturbance::some
                                                                     : Disturbance::none;
}

/// Looked at once: they go on changing.
std::vector<pid_t> least_disturbed_first(pid_t pid) {
  std::vector<std::pair<Disturbance, pid_t>> order;
  for (const pid_t thread : numbers_in(in_proc(pid, "task"))) {
    order.emplace_back(disturbance(pid, thread), thread);
  }
  std::sort(order.begin(), order.end());
  std::vector<pid_t> threads;
  for (const auto& [key, thread] : order) {
    if (key != Disturbance::ended) {
      threads.push_back(thread);
    }
  }
  return threads;
}

// ---- in a thread

enum class Answer : unsigned char { done, busy, refused };

/// The clock of a thread that is stopped.
long microseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

/// How it went with the stops of a process's threads.
struct Stops {
  std::string why;                 // there was none
  std::vector<long> microseconds;  // of each

  [[nodiscard]] std::string text() {
    std::sort(microseconds.begin(), microseconds.end());
    return format("stopped {} times, at the median for {} us, at most for {} us",
                  microseconds.size(), microseconds[microseconds.size() / 2], microseconds.back());
  }
};

/// Stops one thread, has `act` make calls in it, and lets it go on as if nothing had been.
template <class Act>
Answer in_thread(pid_t pid, pid_t id, Stops& stops, Act act) {
  Thread thread(id);
  const auto status = read_status(pid);
  const bool filtered = status && status->seccomp != 0;
  if (!thread.seize(filtered ? kSuspendSeccomp : 0)) {
    const int error = errno;
    stops.why =
        status && status->tracer != 0
            ? format("it is traced by {} already; fix: end that first", status->tracer)
        : filtered && error == EPERM
            ? "it has a seccomp filter, which may kill it for the call; fix: CAP_SYS_ADMIN, and no "
              "filter on this process"
        : error == EPERM ? "ptrace(2) is not permitted; fix: ask as root, with CAP_SYS_PTRACE"
                         : std::strerror(error);
    return error == ESRCH ? Answer::busy : Answer::refused;
  }
  stops.why = "it has ended, or no thread of it stops";
  const long begin = microseconds();
  if (!thread.interrupt()) {
    return Answer::busy;
  }
  Stop stop = thread.wait(kPatience);
  while (stop.kind == Stop::Kind::signal) {
    // Any stop takes back what was asked for before: a storm of signals would never end.
    thread.interrupt();
    thread.pass_on(stop);
    stop = thread.wait(kPatience);
  }
  if (stop.kind != Stop::Kind::event) {
    return Answer::busy;  // the end of this process detaches
  }
  if (thread.hold()) {
    act(thread);
  }
  if (!thread.put_back() || !thread.detach()) {
    return Answer::busy;
  }
  stops.microseconds.push_back(microseconds() - begin);
  return Answer::done;
}

template <class Act>
bool in_any_thread(pid_t pid, Stops& stops, Act act) {
  for (const pid_t thread : least_disturbed_first(pid)) {
    const Answer answer = in_thread(pid, thread, stops, act);
    if (answer != Answer::busy) {
      return answer == Answer::done;
    }
  }
  return false;
}

// ---- one process

MemlockLimit limit_of(pid_t pid, bool raise) {
  const rlimit infinite = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  if (raise && ::prlimit(pid, RLIMIT_MEMLOCK, &infinite, nullptr) != 0) {
    rlimit limit = {};
    if (::prlimit(pid, RLIMIT_MEMLOCK, nullptr, &limit) == 0) {
      limit.rlim_cur = limit.rlim_max;
      ::prlimit(pid, RLIMIT_MEMLOCK, &limit, nullptr);
    }
  }
  // Of another user's process, prlimit(2) takes CAP_SYS_RESOURCE even to read it.
  const Limits limits = read_limits(pid == 0 ? ::getpid() : pid).value_or(Limits{0, 0});
  return {.soft = limits.soft.value_or(RLIM_INFINITY),
          .hard = limits.hard.value_or(RLIM_INFINITY),
          .exempt = false};
}

/// IO flusher and SCHED_RR are set thread by thread.
bool set_reclaim(pid_t pid, const Settings& settings) {
  bool all = true;
  for (const pid_t thread : numbers_in(in_proc(pid, "task"))) {
    if (settings.realtime != 0) {
      const sched_param priority = {.sched_priority = settings.realtime};
      all &= ::sched_setscheduler(thread, SCHED_RR, &priority) == 0;
    }
    if (settings.io_flusher) {
      Stops stops;
      std::optional<long> answer;
      (void)in_thread(pid, thread, stops,
                      [&](Thread& held) { answer = held.call(Call::prctl, kPrSetIoFlusher, 1); });
      all &= answer == 0;
    }
  }
  return all;
}

/// mlockall and munlockall take a microsecond for each mapping that they change, and stop the
/// process for as long: of very many, most are changed before.
void change_portions(pid_t pid, bool unlock, Stops& stops) {
  for (const auto& portion : portions(pid)) {
    (void)in_any_thread(pid, stops, [&](Thread& thread) {
      unlock ? unlock_ranges(thread, portion) : lock_on_fault(thread, portion);
    });
  }
}

/// So few at a time that each stop is short.
void leave_files(pid_t pid, std::span<const Range> evictable, Stops& stops) {
  constexpr std::size_t kAtOnce = 25;
  while (!evictable.empty()) {
    const auto some = evictable.first(std::min(kAtOnce, evictable.size()));
    (void)in_any_thread(pid, stops, [&](Thread& thread) { unlock_ranges(thread, some); });
    evictable = evictable.subspan(some.size());
  }
}

/// What the limit refuses is the limit's that the process has, not this one's.
std::string describe_lock(pid_t pid, const OutsideOutcome& outcome, const preload::LockPlan& plan,
                          const Settings& settings, const MemlockLimit& limit) {
  const auto size = read_status(pid).value_or(ProcessStatus()).size.value_or(0);
  return outcome.error == ENOMEM && size > limit.soft
             ? format(
                   "not locked: its address space ({} KiB) exceeds its RLIMIT_MEMLOCK ({} KiB), "
                   "and it has no CAP_IPC_LOCK; fix: ask with CAP_SYS_RESOURCE, which lifts the "
                   "limit",
                   size / 1024, limit.soft / 1024)
             : describe(outcome, plan, settings, limit, pid);
}

/// Whether mlockall will not be refused for the limit, so that nothing has to be undone.
bool fits(pid_t pid, const ProcessStatus& status, const MemlockLimit& limit) {
  constexpr auto kIpcLock = std::uint64_t{1} << static_cast<unsigned>(Capability::ipc_lock);
  return status.size.value_or(0) <= limit.soft ||
         ((status.effective & kIpcLock) != 0 &&
          read_link(in_proc(pid, "ns/user")).value_or("") == preload::kInitialUserNamespace);
}

/// Locks or unlocks, says so, and whether it is as asked.
bool change(pid_t pid, bool unlock, const Settings& settings) {
  const ProcessStatus status = read_status(pid).value_or(ProcessStatus());
  const std::string& name = status.name;
  const MemlockLimit limit = limit_of(pid, !unlock && settings.raise_limit);
  const auto plan = plan_from_outside(settings, limit);
  // Looked for while it runs, as many mappings take long to read.
  const auto stack = plan.spare_growth ? stack_begin(pid) : std::nullopt;
  OutsideOutcome outcome;
  Stops stops = {.why = unlock ? "" : objection_to_lock(pid), .microseconds = {}};
  const bool allowed = stops.why.empty();
  if (allowed && (unlock || (plan.current && plan.current_onfault && fits(pid, status, limit)))) {
    change_portions(pid, unlock, stops);
  }
  const bool made = allowed && in_any_thread(pid, stops, [&](Thread& thread) {
                      if (unlock) {
                        outcome.locked = thread.call(Call::munlockall) != 0;
                      } else {
                        outcome = lock_held(thread, plan, stack);
                      }
                    });
  const bool done = made && outcome.locked != unlock;
  FilePolicy files;
  if (done && !unlock && plan.current) {
    files = file_policy(pid, plan);
    leave_files(pid, files.evictable, stops);
    outcome.charged = read_status(pid).value_or(ProcessStatus()).charged.value_or(0);
  }
  if (made) {
    say(settings, LogLevel::debug, pid, name, stops.text());
  }
  if (!made) {
    say(settings, LogLevel::error, pid, name,
        format("not {}: {}", unlock ? "unlocked" : "locked", stops.why));
  } else if (unlock) {
    say(settings, LogLevel::info, pid, name, done ? "unlocked" : "not unlocked: munlockall failed");
  } else {
    say(settings, done ? LogLevel::info : LogLevel::error, pid, name,
        describe_lock(pid, outcome, plan, settings, limit));
  }
  if (!done || unlock) {
    return done;
  }
  if (plan.current_onfault) {
    make_resident(pid, files.code);  // with the process running, as it may have to read its pages
  }
  if (!set_reclaim(pid, settings)) {
    say(settings, LogLevel::error, pid, name,
        "IO_FLUSHER or REALTIME does not hold in each thread; fix: give it CAP_SYS_RESOURCE and "
        "CAP_SYS_NICE");
    return false;
  }
  return true;
}

// ---- all of them

/// Before anything is stopped that this process's own pages, or their reclaim, may have to wait
/// for.
void become_independent() {
  (void)limit_of(0, true);
  const bool capped = preload::read_memlock_limit(preload::kSystemKernel).capped();
  ::mlockall(capped ? MCL_CURRENT : MCL_CURRENT | MCL_FUTURE);
  ::prctl(kPrSetIoFlusher, 1, 0, 0, 0);
  if (const Descriptor score = open_file("/proc/self/oom_score_adj", O_WRONLY); score.is_open()) {
    (void)!::write(score.number(), "-1000", 5);
  }
  // What is stopped waits for this process, and not the other way round.
  const sched_param priority = {.sched_priority = 1};
  ::sched_setscheduler(0, SCHED_FIFO, &priority);
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);  // nothing but SIGKILL ends it halfway
}

pid_t find_process(const std::string& target) {
  auto pid = number(target);
  if (!pid) {
    pid = static_cast<unsigned>(
        running_process(target.ends_with(".service") ? target : target + ".service"));
  }
  const auto status = read_status(static_cast<pid_t>(*pid));
  if (!status || !status->charged) {
    throw Failure(1, format("{}: no such process runs here, or it is the kernel's; name a PID or a "
                            "unit that runs",
                            target));
  }
  return static_cast<pid_t>(*pid);
}

bool change_tree(pid_t pid, bool unlock, const Settings& settings) {
  constexpr int kPasses = 10;
  bool all = true;
  // A child that was forked between the look and the lock shows up in the next pass.
  std::vector<pid_t> seen;
  for (int pass = 0; pass < kPasses; ++pass) {
    auto tree = descendants_of(pid, offspring_of(all_processes()));
    tree.insert(tree.begin(), pid);
    bool news = false;
    for (const pid_t member : tree) {
      const auto status = read_status(member);
      const bool known = std::find(seen.begin(), seen.end(), member) != seen.end();
      if (status && status->charged && !known) {
        news = true;
        seen.push_back(member);
        all &= change(member, unlock, settings) || !read_status(member);
      }
    }
    if (!news) {
      break;
    }
  }
  return all;
}

}  // namespace

int attach(const AttachOptions& options) {
  put_into_environment(options.settings);
  const Settings settings = preload::read_settings(preload::Environment(environ)).settings;
  std::vector<pid_t> processes;
  for (const std::string& target : options.targets) {
    processes.push_back(find_process(target));
  }
  become_independent();
  bool all = true;
  for (const pid_t pid : processes) {
    all &= options.tree ? change_tree(pid, options.unlock, settings)
                        : change(pid, options.unlock, settings);
  }
  return all ? 0 : 1;
}

}  // namespace duende::mlock::command
