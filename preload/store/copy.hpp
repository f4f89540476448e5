// SPDX-License-Identifier: MIT OR Apache-2.0
// sendfile(2), splice(2) and copy_file_range(2) from or to a store, by reading and writing.
#pragma once

#include <sys/types.h>
#include <cstddef>

namespace duende::mlock::store {

/// One end: without an offset, where the descriptor is.
struct End {
  int descriptor;
  off_t* offset;
};

/// Short counts are theirs as well. Offsets move on by what was copied.
[[nodiscard]] ssize_t copy(End from, End to, std::size_t size);

/// Whether neither would have to be waited for; else EAGAIN.
[[nodiscard]] bool is_ready(int from, int to) noexcept;

}  // namespace duende::mlock::store
