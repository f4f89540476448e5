// SPDX-License-Identifier: MIT OR Apache-2.0
// What a test needs of the machine, said aloud where it is missing.
#pragma once

#include <string>

namespace duende::mlock::test {

/// Notes that something was left out, and why: the program then exits 77 unless a test fails.
/// Always true, for `if (missing) { skip("..."); return; }` in one expression.
bool skip(const std::string& missing);

}  // namespace duende::mlock::test
