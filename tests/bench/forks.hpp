// SPDX-License-Identifier: MIT OR Apache-2.0
// What a fork of this process costs: the time until the child runs, and the child's own memory.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstring>

#include "process.hpp"

namespace duende::mlock::bench {

struct ForkCost {
  double microseconds = 0;  // minimum
  double copied = 0;        // MiB that are the child's alone
  double resident = 0;      // MiB that it has resident and the parent had not
};

class Forks {
 public:
  Forks() {
    void* const page =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED, "mmap");
    shared_ = static_cast<Shared*>(page);
  }

  /// Fails unless the children are locked, or not, as told.
  [[nodiscard]] ForkCost measure(int times, bool children_locked) const {
    Samples samples;
    for (int i = 0; i < times; ++i) {
      const auto before = Clock::now();
      in_child([this] { shared_->begun = Clock::now(); });
      samples.add(shared_->begun - before);
    }
    const double resident = own_mebibytes("status", "VmRSS:");
    // One more, not timed.
    in_child([this] {
      shared_->locked = own_mebibytes("status", "VmLck:") > 0;
      shared_->copied = own_mebibytes("smaps_rollup", "Private_Dirty:");
      shared_->resident = own_mebibytes("status", "VmRSS:");
    });
    must(shared_->locked == children_locked,
         children_locked ? "locking the child (as root, or with a higher memlock limit?)"
                         : "leaving the child unlocked");
    return {samples.minimum(), shared_->copied, shared_->resident - resident};
  }

 private:
  /// Written by children.
  struct Shared {
    Clock::time_point begun;
    bool locked;
    double copied;
    double resident;
  };

  template <typename Action>
  static void in_child(Action&& action) {
    const pid_t child = ::fork();
    if (child == 0) {
      action();
      ::_exit(0);
    }
    int status = 0;
    must(child > 0 && ::waitpid(child, &status, 0) == child && status == 0, "fork");
  }

  Shared* shared_;
};

/// Memory that was written to, in 4 KiB pages on every machine: huge ones would hide what a fork
/// copies for each page.
[[nodiscard]] inline void* touched_memory(std::size_t bytes) {
  void* const block =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(block != MAP_FAILED, "mmap");
  ::madvise(block, bytes, MADV_NOHUGEPAGE);
  std::memset(block, 1, bytes);
  return block;
}

}  // namespace duende::mlock::bench
