// SPDX-License-Identifier: MIT OR Apache-2.0
// A plan carried out: mlockall, the policy for files and code, and the kernel asked what became of
// it.
#pragma once

#include <optional>

#include <duende/mlock/detail/procfs.hpp>

#include "plan.hpp"

namespace duende::mlock::preload {

enum class Failure : unsigned char {
  none,
  refused,       // mlockall answered with an errno
  not_honoured,  // mlockall answered 0, and nothing is locked: a sandbox, a sanitizer
  stack_lost,    // the stack cannot be spared, and its growth would crash the daemon
  in_swap,       // with `required`: what was swapped out before the lock could not be brought back
};

struct Outcome {
  LockPlan plan;
  MemlockLimit limit;
  Failure failure = Failure::none;
  int error = 0;                 // of the call that was refused
  int flags = 0;                 // of the last call
  bool onfault_refused = false;  // locked without it: stricter, not weaker
  bool io_flusher = false;       // these two as reclaim.hpp has set them
  unsigned realtime = 0;
  std::optional<detail::MemoryUse> memory;  // empty without /proc
};

/// The calls of mlockall, and files mapped as data left out of it. Async-signal-safe.
[[nodiscard]] Outcome lock_only(const Kernel& kernel, const LockPlan& plan,
                                const MemlockLimit& limit) noexcept;

/// Brings back what was swapped out meanwhile, too. Async-signal-safe.
[[nodiscard]] Outcome lock_and_bring_back(const Kernel& kernel, const LockPlan& plan,
                                          const MemlockLimit& limit) noexcept;

/// All of it. Async-signal-safe, but for Code::resident. After a failure nothing is locked.
[[nodiscard]] Outcome carry_out(const Kernel& kernel, const LockPlan& plan,
                                const MemlockLimit& limit) noexcept;

}  // namespace duende::mlock::preload
