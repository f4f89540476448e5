// SPDX-License-Identifier: MIT OR Apache-2.0
// However CAP_IPC_LOCK goes, or the limit comes down, MCL_FUTURE may not outlive it, or the
// daemon's next allocation fails: the setuid family and its like, followed.
#pragma once

#include "locking.hpp"
#include "report.hpp"

namespace duende::mlock::preload {

/// From now on, before this process may lose what carries MCL_FUTURE (an infinite limit, or
/// CAP_IPC_LOCK), future locking ends, and it begins again, with all that came in between, once
/// it is carried again; with `required`, what cannot be carried on aborts.
///
///              before any change that matters           after it
///   carried    suspended, if the limit is finite or     -
///              about to be
///   suspended  -                                        carried, if the limit is infinite, or if
///                                                       this thread holds the capability and no
///                                                       change is in flight
///   lost       -                                        a thread has dropped it for itself
///                                                       (capset(2), a system call by number, a
///                                                       namespace): others cannot be asked, so
///                                                       only an infinite limit carries again
///
/// Called again in a child that locks for itself; every other process with this memory (of
/// vfork(2), or unlocked) is left alone. `settings` stay for as long as the process.
/// Async-signal-safe.
void follow_privileges(const Settings& settings, const Outcome& outcome) noexcept;

/// What a call may take away, and from whom.
enum class Change : unsigned char {
  none,
  process,     // the capability, from all threads: setuid(3) and its family
  thread,      // the capability, from the calling thread
  name_space,  // what the capability counts for, from the calling thread
  limit,       // the limit that makes it unneeded, from all threads
};

/// Before a call that may do so. True if `after_change` has to look what it did.
[[nodiscard]] bool before_change(Change change) noexcept;
/// What the call has taken away, given back, or left.
void after_change(Change change) noexcept;

/// `call`, followed; what it answers.
template <class Call>
auto followed(Change change, Call call) noexcept {
  const bool look = before_change(change);
  const auto answer = call();
  if (look) {
    after_change(change);
  }
  return answer;
}

/// What a system call by number may take away: from the calling thread only, whatever its libc
/// namesake does. `arguments` as the call takes them.
[[nodiscard]] Change change_of(long number, const long (&arguments)[6]) noexcept;

/// Setting this limit of this process (0: the calling one).
[[nodiscard]] Change change_of_limit(long process, long resource) noexcept;

/// Before this process puts a seccomp filter on itself, which may refuse, or kill, what a later
/// drop needs: so nothing is left to do then. Whether it is this process, whose calls are to be
/// made with care from then on (note_new_filter), and not a child of vfork(2).
[[nodiscard]] bool settle_before_filter() noexcept;

}  // namespace duende::mlock::preload
