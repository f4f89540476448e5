// SPDX-License-Identifier: MIT OR Apache-2.0
// A system call that must succeed, or an exception that names it.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace duende::mlock::test {

inline long check(long returned, const std::string& what) {
  if (returned < 0) {
    throw std::system_error(errno, std::generic_category(), what);
  }
  return returned;
}

}  // namespace duende::mlock::test
