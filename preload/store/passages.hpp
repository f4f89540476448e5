// SPDX-License-Identifier: MIT OR Apache-2.0
// Who is at which bytes of which store: what may run beside each other, and what may not.
#pragma once

#include <sys/types.h>
#include <cstdint>

#include "monitor.hpp"

namespace duende::mlock::store {

/// What a call is about to do.
enum class Use : std::uint8_t {
  read,
  write,  // whole blocks
  edit,   // parts of blocks, which are read first: beside no other write to these blocks
  alone,  // beside nothing else on this file
};

/// From the moment when nothing that was there before is in the way, to the end of the scope.
/// First come, first served: nobody is overtaken by whom he would have to wait for.
class Passage {
 public:
  Passage(unsigned file, off_t begin, off_t end, Use use) noexcept;
  ~Passage();
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

 private:
  unsigned slot_;
};

/// In a child of fork(2).
void forget_passages() noexcept;

}  // namespace duende::mlock::store
