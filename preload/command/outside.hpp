// SPDX-License-Identifier: MIT OR Apache-2.0
// A lock from outside: a plan carried out in a process that is stopped.
#pragma once

#include <span>

#include "../plan.hpp"
#include "text.hpp"
#include "thread.hpp"

namespace duende::mlock::command {

/// The library's plan, with nothing taken for granted that only the library follows: a capability
/// that carries the lock, and goes.
[[nodiscard]] preload::LockPlan plan_from_outside(const preload::Settings& settings,
                                                  preload::MemlockLimit limit);

struct OutsideOutcome {
  bool locked = false;
  std::uint64_t charged = 0;  // VmLck, bytes
  int error = 0;              // of mlockall; 0 if it could not be called, or had no effect
  int flags = 0;
};
/// The lowest page of the main stack: it grows from there, and its growth would be charged.
[[nodiscard]] std::optional<std::uintptr_t> stack_begin(pid_t pid);

/// mlockall in a thread that is held, read back from /proc; without that page of the stack, if it
/// is to be spared.
[[nodiscard]] OutsideOutcome lock_held(Thread& thread, const preload::LockPlan& plan,
                                       const std::optional<std::uintptr_t>& stack);

/// Why a process would not survive a lock that nothing in it knows of; empty if nothing is known
/// against it.
[[nodiscard]] std::string objection_to_lock(pid_t pid);

/// Whether what a process maps of a file comes back from there; what cannot be found out may be
/// swapped.
[[nodiscard]] bool is_never_swapped(pid_t pid, std::string_view path);

struct Range {
  std::uintptr_t begin = 0;
  std::size_t size = 0;
};

/// What the library would do with the files that a process has mapped.
struct FilePolicy {
  std::vector<Range> evictable;  // data, and code that would fill a small control group
  std::vector<Range> code;       // that is to be resident
};
[[nodiscard]] FilePolicy file_policy(pid_t pid, const preload::LockPlan& plan);

/// In a thread that is held: munlock, and mlock2 on fault.
void unlock_ranges(Thread& thread, std::span<const Range> ranges);
void lock_on_fault(Thread& thread, std::span<const Range> ranges);

/// The mappings of a process that has hundreds, in portions that the kernel locks in a fraction of
/// a millisecond; none of a process with fewer, for which one mlockall does.
[[nodiscard]] std::vector<std::vector<Range>> portions(pid_t pid);

/// Reads a byte of each page, which has the page mapped there.
void make_resident(pid_t pid, const std::vector<Range>& code);

/// What is locked how, or the cause and the fix.
[[nodiscard]] std::string describe(const OutsideOutcome& outcome, const preload::LockPlan& plan,
                                   const preload::Settings& settings,
                                   const preload::MemlockLimit& limit, pid_t pid);

/// A line as the library would write it for that process.
void say(const preload::Settings& settings, preload::LogLevel level, pid_t pid,
         std::string_view name, std::string_view text);

/// Has a tracer wait for the program that this process is about to execute.
struct Watch {
  preload::Settings settings;
  preload::MemlockLimit limit;
  std::string name;
  std::string cause;        // why from outside
  unsigned executions = 1;  // the last of so many is the program
  bool verify = false;      // at its entry point, and only if it is not locked by then
  bool dynamic = false;     // a loader maps more than is there at first
  bool musl = false;        // whose loader runs the library later
};
/// Empty, or why it cannot be traced.
[[nodiscard]] std::string watch_next_program(const Watch& watch);

}  // namespace duende::mlock::command
