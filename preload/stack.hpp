// SPDX-License-Identifier: MIT OR Apache-2.0
// The main stack, which the kernel extends downwards from its lowest page.
#pragma once

#include <cstdint>

#include "kernel.hpp"

namespace duende::mlock::preload {

/// Under a limit a locked stack cannot grow: it would be SIGSEGV. Found by asking for its pages one
/// by one, so that chroot(2) or a hidden /proc make no difference.
class GrowingStack {
 public:
  /// Unlocks the lowest page, so that what grows from there is not charged to RLIMIT_MEMLOCK.
  /// False when that cannot be had.
  [[nodiscard]] bool release(const Kernel& kernel) noexcept;

 private:
  std::uintptr_t lowest_page_ = 0;
};

/// This process's, and that of its children.
[[nodiscard]] GrowingStack& main_stack() noexcept;

}  // namespace duende::mlock::preload
