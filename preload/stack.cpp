// SPDX-License-Identifier: MIT OR Apache-2.0
#include "stack.hpp"

#include <cerrno>

namespace duende::mlock::preload {

namespace {

constinit GrowingStack g_main_stack;

}  // namespace

GrowingStack& main_stack() noexcept { return g_main_stack; }

bool GrowingStack::release(const Kernel& kernel) noexcept {
  if (extended_) {
    return true;
  }
  const std::size_t page = page_size();
  const bool first = lowest_page_ == 0;
  if (first) {
    lowest_page_ = kernel.top_of_stack() & ~(page - 1);
  }
  const std::uintptr_t before = lowest_page_;
  int error = 0;
  while ((error = kernel.ask_mapped(lowest_page_ - page)) == 0) {
    lowest_page_ -= page;
  }
  if (error != ENOMEM) {  // refused, and so not known to be its end
    lowest_page_ = 0;
    return false;
  }
  if (!first && (!set_apart_ || lowest_page_ != before)) {
    set_apart_ = true;
    (void)kernel.set_apart(lowest_page_);
  }
  return kernel.munlock(lowest_page_, page) == 0;
}

}  // namespace duende::mlock::preload
