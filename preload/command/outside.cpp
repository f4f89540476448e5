// SPDX-License-Identifier: MIT OR Apache-2.0
#include "outside.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include <duende/mlock/status.hpp>

#include "../diagnose.hpp"
#include "file.hpp"
#include "process.hpp"

namespace duende::mlock::command {

using preload::LockPlan;
using preload::MemlockLimit;
using preload::Settings;

LockPlan plan_from_outside(const Settings& settings, MemlockLimit limit) {
  limit.exempt = false;
  return preload::plan_for_start(settings, limit);
}

namespace {

int flags_of(const LockPlan& plan) {
  return (plan.current ? detail::kMclCurrent : 0) | (plan.future ? detail::kMclFuture : 0) |
         (plan.current_onfault ? detail::kMclOnfault : 0);
}

std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

std::optional<std::uintptr_t> stack_begin(pid_t pid) {
  const std::string maps = read_or_empty(in_proc(pid, "maps"));
  for (const std::string_view line : split(maps, '\n')) {
    if (line.ends_with("[stack]")) {
      return number(line.substr(0, line.find('-')), 16);
    }
  }
  return std::nullopt;
}

OutsideOutcome lock_held(Thread& thread, const LockPlan& plan,
                         const std::optional<std::uintptr_t>& stack) {
  OutsideOutcome outcome = {.locked = false, .charged = 0, .error = 0, .flags = flags_of(plan)};
  auto answer = thread.call(Call::mlockall, outcome.flags);
  if (answer == -EINVAL && plan.current_onfault) {  // before Linux 4.4
    outcome.flags &= ~detail::kMclOnfault;
    answer = thread.call(Call::mlockall, outcome.flags);
  }
  if (answer == 0 && plan.spare_growth && stack) {
    (void)thread.call(Call::munlock, static_cast<long>(*stack), static_cast<long>(page()));
  }
  const auto status = read_status(thread.id());
  outcome.charged = status ? status->charged.value_or(0) : 0;
  outcome.error = static_cast<int>(-answer.value_or(0));
  outcome.locked = answer == 0 && (outcome.charged != 0 || !plan.current);
  return outcome;
}

void make_code_resident(pid_t pid) {
  constexpr std::size_t kMost = 1024;  // IOV_MAX
  const std::string maps = read_or_empty(in_proc(pid, "maps"));
  char bytes[kMost];
  std::vector<iovec> pages;
  const auto flush = [&] {
    const iovec here = {.iov_base = bytes, .iov_len = pages.size()};
    (void)::process_vm_readv(pid, &here, 1, pages.data(), pages.size(), 0);
    pages.clear();
  };
  for (const std::string_view line : split(maps, '\n')) {
    const auto words = words_of(line);
    // Private, readable, not writable, of a file
    if (words.size() < 6 || words[1].size() != 4 || words[1][0] != 'r' || words[1][1] == 'w' ||
        words[1][3] != 'p' || words[4] == "0") {
      continue;
    }
    const auto ends = split(words[0], '-');
    const auto end = number(ends[1], 16).value_or(0);
    for (auto at = number(ends[0], 16).value_or(end); at < end; at += page()) {
      pages.push_back({.iov_base = reinterpret_cast<void*>(at), .iov_len = 1});
      if (pages.size() == kMost) {
        flush();
      }
    }
  }
  flush();
}

std::string describe(const OutsideOutcome& outcome, const LockPlan& plan, const Settings& settings,
                     const MemlockLimit& limit, pid_t pid) {
  if (outcome.locked) {
    preload::Line size;
    MlockStatus::Locked(outcome.charged).append_to(size);
    std::string text =
        format("{}: {}{}{}, {}", size.view(), plan.current ? "current" : "",
               plan.current && plan.future ? " and " : "", plan.future ? "future" : "",
               (outcome.flags & detail::kMclOnfault) != 0 ? "on-fault" : "populated");
    if (plan.future_withheld) {
      text += format(
          "; not future: allocations beyond RLIMIT_MEMLOCK ({} KiB) would fail; fix: an "
          "infinite limit",
          limit.soft / 1024);
    } else if (plan.future && !limit.infinite()) {
      text += format(
          "; without CAP_IPC_LOCK, allocations beyond RLIMIT_MEMLOCK ({} KiB) fail; fix: an "
          "infinite limit",
          limit.soft / 1024);
    }
    return text;
  }
  if (outcome.error == 0 && outcome.charged == 0) {
    return "not locked: no system call could be made in it, or none that has an effect; fix: see "
           "what "
           "confines it";
  }
  const auto status = read_status(pid);
  preload::Outcome refused = {.plan = plan,
                              .limit = limit,
                              .failure = preload::Failure::refused,
                              .error = outcome.error,
                              .flags = outcome.flags,
                              .memory = {}};
  if (status) {
    refused.memory = {
        .address_space = status->size.value_or(0), .locked = outcome.charged, .swapped = 0};
  }
  preload::Message message;
  preload::describe(message, preload::kSystemKernel, refused, settings);
  return std::string(message.text.view());
}

void say(const Settings& settings, preload::LogLevel level, pid_t pid, std::string_view name,
         std::string_view text) {
  // A pipe that nobody reads shall not hold up what is stopped meanwhile.
  pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (level <= settings.log && ::poll(&room, 1, 0) == 1 && room.revents == POLLOUT) {
    const std::string line =
        format("duende-mlock[{}] {}: {}\n", pid, printable(name), printable(text));
    (void)!::write(STDERR_FILENO, line.data(), line.size());
  }
}

}  // namespace duende::mlock::command
