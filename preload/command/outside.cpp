// SPDX-License-Identifier: MIT OR Apache-2.0
#include "outside.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include <duende/mlock/status.hpp>

#include "../code.hpp"
#include "../diagnose.hpp"
#include "../policy.hpp"
#include "file.hpp"
#include "process.hpp"

namespace duende::mlock::command {

using preload::LockPlan;
using preload::MemlockLimit;
using preload::Settings;

bool is_never_swapped(pid_t pid, std::string_view path) {
  const std::string seen = in_proc(pid, "root").append(path);
  return preload::kSystemKernel.swappable_path(seen.c_str()) == preload::Answer::no;
}

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

/// Another process, as the policy sees it.
class Other {
 public:
  Other(pid_t pid, FilePolicy& policy)
      : pid_(pid), groups_(in_proc(pid, "cgroup")), policy_(policy) {}

  [[nodiscard]] bool never_swapped(std::string_view path) const {
    return is_never_swapped(pid_, path);
  }
  void leave(std::uintptr_t begin, std::size_t size) { policy_.evictable.push_back({begin, size}); }
  void keep(std::uintptr_t begin, std::size_t size, bool code) {
    if (!code) {
      return;
    }
    const auto share = budget_.share_of(size, preload::kSystemKernel, groups_.c_str());
    policy_.code.push_back({begin, share.resident});
    if (share.evictable != 0) {
      policy_.evictable.push_back({begin + share.resident, share.evictable});
    }
  }

 private:
  pid_t pid_;
  std::string groups_;
  FilePolicy& policy_;
  preload::CodeBudget budget_;
};

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

/// V8 (Node.js, Chromium, Deno, Electron) ends itself when memory cannot be given back, which the
/// library sees to. Its flags are in each program that has it, and it is never small.
std::string objection_to_lock(pid_t pid) {
  constexpr std::string_view kFlagOfV8 = "max_old_space_size";
  constexpr std::size_t kSmall = std::size_t{8} << 20;
  const std::string maps = read_or_empty(in_proc(pid, "maps"));
  if (maps_library(maps)) {
    return "";
  }
  for (const std::string_view line : split(maps, '\n')) {
    const auto mapping = preload::parse_mapping(line);
    if (!mapping || !mapping->executable || mapping->inode == 0 || mapping->size() < kSmall) {
      continue;
    }
    // By the mapping, as the file may have been replaced; which takes CAP_SYS_ADMIN.
    const auto itself = in_proc(pid, format("map_files/{:x}-{:x}", mapping->begin, mapping->end));
    const auto path = in_proc(pid, "root").append(mapping->path);
    if (file_contains(open_file(itself).is_open() ? itself : path, kFlagOfV8)) {
      return "it runs V8, which ends itself when a lock refuses its madvise(2); fix: start it with "
             "the library in LD_PRELOAD, which stands in between";
    }
  }
  return "";
}

FilePolicy file_policy(pid_t pid, const LockPlan& plan) {
  FilePolicy policy;
  Other other(pid, policy);
  detail::LineReader maps(detail::kSystemKernel, in_proc(pid, "maps").c_str());
  preload::apply_policy(maps, other);
  if (plan.data_files) {
    policy.evictable.clear();
  }
  return policy;
}

void unlock_ranges(Thread& thread, std::span<const Range> ranges) {
  for (const Range& range : ranges) {
    (void)thread.call(Call::munlock, static_cast<long>(range.begin), static_cast<long>(range.size));
  }
}

void lock_on_fault(Thread& thread, std::span<const Range> ranges) {
  constexpr long kMlockOnfault = 1;
  for (const Range& range : ranges) {
    (void)thread.call(Call::mlock2, static_cast<long>(range.begin), static_cast<long>(range.size),
                      kMlockOnfault);
  }
}

std::vector<std::vector<Range>> portions(pid_t pid) {
  constexpr unsigned kMappings = 250;
  constexpr std::size_t kCalls = 25;
  const std::string maps = read_or_empty(in_proc(pid, "maps"));
  std::vector<std::vector<Range>> portions;
  unsigned count = 0;
  for (const std::string_view line : split(maps, '\n')) {
    const auto mapping = preload::parse_mapping(line);
    if (!mapping) {
      continue;
    }
    if (count++ % kMappings == 0 || portions.back().size() == kCalls) {
      portions.emplace_back();
    }
    std::vector<Range>& last = portions.back();
    if (!last.empty() && last.back().begin + last.back().size == mapping->begin) {
      last.back().size += mapping->size();
    } else {
      last.push_back({mapping->begin, mapping->size()});
    }
  }
  return count > kMappings ? portions : std::vector<std::vector<Range>>();
}

void make_resident(pid_t pid, const std::vector<Range>& code) {
  constexpr std::size_t kMost = 1024;  // IOV_MAX
  char bytes[kMost];
  std::vector<iovec> pages;
  const auto flush = [&] {
    const iovec here = {.iov_base = bytes, .iov_len = pages.size()};
    (void)::process_vm_readv(pid, &here, 1, pages.data(), pages.size(), 0);
    pages.clear();
  };
  for (const Range& range : code) {
    for (auto at = range.begin; at < range.begin + range.size; at += page()) {
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
