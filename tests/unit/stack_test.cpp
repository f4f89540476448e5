// SPDX-License-Identifier: MIT OR Apache-2.0
// The main stack: its lowest page is found by asking, and left out of a lock.
#include "preload/stack.hpp"

#include <cerrno>
#include <sstream>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

std::string munlock(std::uintptr_t page) {
  std::ostringstream call;
  call << std::hex << "munlock(" << page << '+' << page_size() << ')';
  return call.str();
}

/// A stack of three pages.
struct Stack {
  const std::uintptr_t page = page_size();
  const std::uintptr_t top = 0x900000;
  const std::uintptr_t lowest = top - 2 * page;
  FakeKernel kernel;
  Stack() {
    kernel.top_of_stack = top + 123;
    kernel.mapped = {top, top - page, lowest};
  }
};

TEST_CASE("the lowest page is released, without /proc") {
  Stack on;
  CHECK(GrowingStack().release(on.kernel));
  CHECK(on.kernel.calls == Calls{munlock(on.lowest)});
}

TEST_CASE("it is followed down when it has grown") {
  Stack on;
  GrowingStack stack;
  REQUIRE(stack.release(on.kernel));
  REQUIRE(stack.release(on.kernel));
  on.kernel.mapped.insert({on.lowest - on.page, on.lowest - 2 * on.page});
  REQUIRE(stack.release(on.kernel));
  CHECK(on.kernel.calls ==
        Calls{munlock(on.lowest), munlock(on.lowest), munlock(on.lowest - 2 * on.page)});
  on.kernel.munlock_error = ENOMEM;
  CHECK_FALSE(stack.release(on.kernel));
}

TEST_CASE("a page that cannot be asked for is not known to be the end") {
  Stack on;
  GrowingStack stack;
  on.kernel.ask_mapped_error = EPERM;
  CHECK_FALSE(stack.release(on.kernel));
  CHECK(on.kernel.calls.empty());
  on.kernel.ask_mapped_error = 0;
  CHECK(stack.release(on.kernel));
}

TEST_CASE("a sandbox that has everything mapped is not asked for ever") {
  Stack on;
  on.kernel.all_mapped = true;
  CHECK_FALSE(GrowingStack().release(on.kernel));
  CHECK(on.kernel.calls.empty());
}

TEST_CASE("a release that is refused is said") {
  Stack on;
  on.kernel.munlock_error = ENOMEM;
  CHECK_FALSE(GrowingStack().release(on.kernel));
}

}  // namespace
