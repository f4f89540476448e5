// SPDX-License-Identifier: MIT OR Apache-2.0
// What looks at a stack finds its way through the library: crash reports, profilers, debuggers.
#include "shim.hpp"

#include <doctest/doctest.h>

namespace duende::mlock::test {

TEST_SUITE("backtrace") {
  TEST_CASE("a thread that is in syscall(2)") {
    CHECK(run(plain("backtrace")).out == "main is seen\n");
    const Finished finished = run(shimmed("backtrace"));
    CHECK(finished.how() == "exit 0");
    CHECK(finished.out == "main is seen\n");
  }
}

}  // namespace duende::mlock::test
