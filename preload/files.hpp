// SPDX-License-Identifier: MIT OR Apache-2.0
// Files mapped as data, which are left evictable: the mmap that this library puts in front.
#pragma once

#include <sys/types.h>

#include "kernel.hpp"

namespace duende::mlock::preload {

/// How future mappings are locked, as the kernel has it at the moment.
enum class FutureLock : unsigned char { none, onfault, populated };

/// From now on files mapped as data are left out of that, unless all files are to be locked.
void leave_mapped_data(FutureLock lock, bool all_files) noexcept;

/// Whether this process has ever mapped a file as data. Without, /proc/self/maps need not be read
/// in search of them; what the C library maps for itself (locales) is not seen, and locked.
[[nodiscard]] bool data_files_mapped() noexcept;

using Mmap = void*(void* address, std::size_t size, int protection, int flags, int file,
                   off_t offset);

/// mmap(2) by `real`, and the policy. errno is as `real` leaves it. Async-signal-safe.
[[nodiscard]] void* map(Mmap* real, void* address, std::size_t size, int protection, int flags,
                        int file, off_t offset) noexcept;

}  // namespace duende::mlock::preload
