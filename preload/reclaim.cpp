// SPDX-License-Identifier: MIT OR Apache-2.0
#include "reclaim.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <cstdint>

#include "diagnose.hpp"
#include "filter.hpp"
#include "said.hpp"

namespace duende::mlock::preload {

namespace {

constexpr int kSchedDeadline = 6;  // above every other policy; sched_setattr(2), Linux 3.14

constexpr bool at_least_as_strong(const Scheduling& now, const Scheduling& wanted) noexcept {
  const bool realtime = now.policy == SCHED_FIFO || now.policy == SCHED_RR;
  return now.policy == kSchedDeadline || (realtime && now.priority >= wanted.priority);
}

Scheduling realtime(const Settings& settings) noexcept {
  return {.policy = SCHED_RR, .priority = settings.realtime};
}

/// What `message` has, if anything, which is then told.
void tell(Message& message, ReclaimState& state) noexcept {
  if (!message.text.empty()) {
    report(quieter(message.level, false), message.text);
    state.as_asked = false;
    message = Message();
  }
}

/// One thread that runs already: its policy is set from here, an IO flusher only it could become.
bool bring_along(const Kernel& kernel, const Settings& settings, std::string_view thread) noexcept {
  const Scheduling wanted = realtime(settings);
  const auto number = static_cast<long>(detail::leading_number(thread).value);
  bool as_asked = true;
  if (settings.realtime != 0 && !at_least_as_strong(kernel.scheduling(number), wanted)) {
    as_asked = kernel.set_scheduling(number, wanted) == 0;
  }
  detail::Text<48> stat;
  stat << "/proc/self/task/" << thread << "/stat";
  return as_asked && (!settings.io_flusher || shown_as_io_flusher(kernel, stat.c_str()));
}

/// Every thread there is; how many are left that are not as asked.
unsigned bring_along(const Kernel& kernel, const Settings& settings) noexcept {
  struct Entry {  // linux_dirent64 of getdents64(2)
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[1];
  };
  const int folder = kernel.open_file("/proc/self/task");
  unsigned left = 0;
  alignas(Entry) char block[1024];
  long size = 0;
  while (folder >= 0 && (size = system_call(SYS_getdents64, folder, block, sizeof block)) > 0) {
    for (long at = 0; at < size;) {
      const auto& entry = *reinterpret_cast<const Entry*>(block + at);
      at += entry.size;
      if (entry.name[0] != '.' && !bring_along(kernel, settings, entry.name)) {
        ++left;
      }
    }
  }
  if (folder >= 0) {
    kernel.close_file(folder);
  }
  return left;
}

}  // namespace

bool shown_as_io_flusher(const Kernel& kernel, const char* path) noexcept {
  constexpr unsigned long long kMemallocNoio = 0x80000;
  constexpr unsigned long long kLocalThrottle = 0x100000;
  detail::LineReader stat(kernel, path);
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
  Message message;
  if (settings.io_flusher) {
    const int error = kernel.set_io_flusher(true);
    state.io_flusher = error == 0 && shown_as_io_flusher(kernel, "/proc/self/stat");
    if (!state.io_flusher) {
      describe(message, kernel, Refusal{Reclaim::io_flusher, error}, settings);
    }
    tell(message, state);
  }
  if (settings.realtime != 0) {
    const Scheduling wanted = realtime(settings);
    Scheduling now = kernel.scheduling(0);
    const int error = at_least_as_strong(now, wanted) ? 0 : kernel.set_scheduling(0, wanted);
    now = kernel.scheduling(0);
    state.realtime = now.policy == SCHED_RR ? static_cast<unsigned>(now.priority) : 0;
    if (!at_least_as_strong(now, wanted)) {
      describe(message, kernel, Refusal{Reclaim::realtime, error}, settings);
    }
    tell(message, state);
  }
  if (state.as_asked && (state.io_flusher || settings.realtime != 0)) {
    describe_threads(message, bring_along(kernel, settings), settings);
    tell(message, state);
  }
  return state;
}

void shed_reclaim_settings(const Kernel& kernel, const Settings& settings) noexcept {
  if (settings.io_flusher) {
    (void)kernel.set_io_flusher(false);
  }
  if (settings.realtime != 0) {
    const Scheduling now = kernel.scheduling(0);
    if (now.policy == SCHED_RR && now.priority == settings.realtime) {
      (void)kernel.set_scheduling(0, {.policy = SCHED_OTHER, .priority = 0});
    }
  }
}

}  // namespace duende::mlock::preload
