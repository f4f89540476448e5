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

std::string on_page(const char* call, std::uintptr_t page, bool sized) {
  std::ostringstream text;
  text << call << '(' << std::hex << page;
  if (sized) {
    text << '+' << page_size();
  }
  text << ')';
  return text.str();
}
std::string munlock(std::uintptr_t page) { return on_page("munlock", page, true); }
std::string set_apart(std::uintptr_t page) { return on_page("set_apart", page, false); }

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

TEST_CASE("from the second release on, the stack is followed down") {
  Stack on;
  const auto& [page, top, lowest, kernel] = on;
  GrowingStack stack;
  REQUIRE(stack.release(kernel));

  SUBCASE("not grown: set apart once, and released each time") {
    REQUIRE(stack.release(kernel));
    REQUIRE(stack.release(kernel));
    CHECK(kernel.calls ==
          Calls{munlock(lowest), set_apart(lowest), munlock(lowest), munlock(lowest)});
  }
  SUBCASE("grown: its new lowest page, once more when it grows again") {
    on.kernel.mapped.insert({lowest - page, lowest - 2 * page});
    REQUIRE(stack.release(kernel));
    REQUIRE(stack.release(kernel));
    on.kernel.mapped.insert(lowest - 3 * page);
    REQUIRE(stack.release(kernel));
    const auto second = lowest - 2 * page;
    const auto third = lowest - 3 * page;
    CHECK(kernel.calls == Calls{munlock(lowest), set_apart(second), munlock(second),
                                munlock(second), set_apart(third), munlock(third)});
  }
  SUBCASE("refused") {
    on.kernel.munlock_error = ENOMEM;
    CHECK_FALSE(stack.release(kernel));
  }
  SUBCASE("extended to its limit: there is nothing to release any more") {
    stack.extend(kernel);
    REQUIRE(stack.release(kernel));
    CHECK(kernel.calls == Calls{munlock(lowest), "extend_stack()"});
  }
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

TEST_CASE("a release that is refused is said") {
  Stack on;
  on.kernel.munlock_error = ENOMEM;
  CHECK_FALSE(GrowingStack().release(on.kernel));
}

}  // namespace
