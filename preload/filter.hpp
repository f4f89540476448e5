// SPDX-License-Identifier: MIT OR Apache-2.0
// System calls that a seccomp filter kills for: found out in a child that dies alone, never made.
#pragma once

#include <optional>

#include <duende/mlock/detail/kernel.hpp>

namespace duende::mlock::preload {

/// syscall(2), for every call of this library that the dynamic linker does not make itself: -1 and
/// ENOSYS, without the call, where a filter kills for it, or where nobody can know whether it does.
/// Async-signal-safe.
long system_call(long number, ...) noexcept __asm__("duende_mlock_system_call");

/// Whether `system_call` makes that call.
[[nodiscard]] bool may_call(long number) noexcept;

/// What there is to know of filters that kill.
enum class Filter : unsigned char {
  none,     // none is in force
  tried,    // every call was made in a child
  untried,  // there is one, or may be, and no child could be had to try it
};
[[nodiscard]] Filter filter() noexcept;

/// Whether one is in force: the mode that proc_pid_status(5) shows since Linux 3.8. Empty without.
[[nodiscard]] std::optional<bool> filtered(const detail::Kernel& kernel) noexcept;

/// Before main and before `system_call`. Costs one file of /proc, and a child where that shows a
/// filter. Where no child can be had, nothing is called, unless `required`: that is worth dying
/// for.
void learn_filter(const detail::Kernel& kernel, bool required) noexcept;

/// The process has put a filter on itself: what it does cannot be known here. Async-signal-safe.
void note_new_filter() noexcept;

/// In a child of fork(2), where clone(2) has just worked: tries what was noted. Async-signal-safe.
void relearn_in_child(bool required) noexcept;

/// Whether a filter, and not the kernel, answers this call with an errno: made with arguments for
/// which the kernel's own answer is EINVAL whoever asks. Of mlockall, mlock2, munlock, madvise,
/// prctl and sched_setscheduler.
[[nodiscard]] bool filter_answers(long number) noexcept;

}  // namespace duende::mlock::preload
