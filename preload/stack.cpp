// SPDX-License-Identifier: MIT OR Apache-2.0
#include "stack.hpp"

#include <cerrno>

namespace duende::mlock::preload {

namespace {

constinit GrowingStack g_main_stack;

}  // namespace

GrowingStack& main_stack() noexcept { return g_main_stack; }

bool GrowingStack::release(const Kernel& kernel) noexcept {
  const std::size_t page = page_size();
  if (lowest_page_ == 0) {
    lowest_page_ = kernel.top_of_stack() & ~(page - 1);
  }
  // The stack is one run of pages: down in leaps that double, and then by halves.
  int error = 0;
  std::size_t leap = page;
  while (leap < lowest_page_ && (error = kernel.ask_mapped(lowest_page_ - leap)) == 0) {
    lowest_page_ -= leap;
    leap *= 2;
  }
  while (error == ENOMEM && leap > page) {
    leap /= 2;
    if ((error = kernel.ask_mapped(lowest_page_ - leap)) == 0) {
      lowest_page_ -= leap;
      error = ENOMEM;
    }
  }
  // Any other errno does not say that this is its end.
  return error == ENOMEM && kernel.munlock(lowest_page_, page) == 0;
}

}  // namespace duende::mlock::preload
