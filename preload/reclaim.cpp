// SPDX-License-Identifier: MIT OR Apache-2.0
#include "reclaim.hpp"

#include <sched.h>

#include "diagnose.hpp"

namespace duende::mlock::preload {

namespace {

constexpr int kSchedDeadline = 6;  // above every other policy; sched_setattr(2), Linux 3.14

constexpr bool at_least_as_strong(const Scheduling& now, const Scheduling& wanted) noexcept {
  const bool realtime = now.policy == SCHED_FIFO || now.policy == SCHED_RR;
  return now.policy == kSchedDeadline || (realtime && now.priority >= wanted.priority);
}

}  // namespace

bool shown_as_io_flusher(const Kernel& kernel) noexcept {
  constexpr unsigned long long kMemallocNoio = 0x80000;
  constexpr unsigned long long kLocalThrottle = 0x100000;
  detail::LineReader stat(kernel, "/proc/self/stat");
  const auto line = stat.next();
  if (!line) {
    return true;
  }
  // Field 2 is a name that may hold anything; the seventh space behind it begins field 9.
  std::string_view rest = detail::after(*line, line->rfind(')') + 1);
  for (int field = 0; field < 7; ++field) {
    rest = detail::after(rest, rest.find(' ') + 1);
  }
  const auto flags = detail::leading_number(rest).value;
  return (flags & kMemallocNoio) != 0 && (flags & kLocalThrottle) != 0;
}

ReclaimState apply_reclaim_settings(const Kernel& kernel, const Settings& settings) noexcept {
  ReclaimState state;
  const auto refused = [&](const Refusal& refusal) {
    Message message;
    describe(message, kernel, refusal, settings);
    report(message.level, message.text);
    state.as_asked = false;
  };
  if (settings.io_flusher) {
    const int error = kernel.set_io_flusher(true);
    state.io_flusher = error == 0 && shown_as_io_flusher(kernel);
    if (!state.io_flusher) {
      refused({"IO_FLUSHER", "prctl(PR_SET_IO_FLUSHER)", error, Capability::sys_resource, "5.6"});
    }
  }
  if (settings.realtime != 0) {
    const Scheduling wanted = {.policy = SCHED_RR, .priority = settings.realtime};
    Scheduling now = kernel.scheduling();
    const int error = at_least_as_strong(now, wanted) ? 0 : kernel.set_scheduling(wanted);
    now = kernel.scheduling();
    state.realtime = now.policy == SCHED_RR ? static_cast<unsigned>(now.priority) : 0;
    if (!at_least_as_strong(now, wanted)) {
      refused({"REALTIME", "sched_setscheduler(SCHED_RR)", error, Capability::sys_nice, "2.0"});
    }
  }
  return state;
}

void shed_reclaim_settings(const Kernel& kernel, const Settings& settings) noexcept {
  if (settings.io_flusher) {
    (void)kernel.set_io_flusher(false);
  }
  if (settings.realtime != 0) {
    const Scheduling now = kernel.scheduling();
    if (now.policy == SCHED_RR && now.priority == settings.realtime) {
      (void)kernel.set_scheduling({.policy = SCHED_OTHER, .priority = 0});
    }
  }
}

}  // namespace duende::mlock::preload
