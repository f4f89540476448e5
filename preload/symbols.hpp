// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions of the process, found by name: those this library stands in front of, and those
// that not every C library has.
#pragma once

#include <string_view>

namespace duende::mlock::preload {

enum class SearchFrom : unsigned char { first_object, after_this_library };

/// The address of the first dynamic symbol of that name in the order of symbol resolution, or
/// null. Like dlsym(3), which before glibc 2.34 would cost every process the loading of
/// libdl.so.2, a twentieth of its start-up. Not async-signal-safe.
[[nodiscard]] void* find_symbol(std::string_view name, SearchFrom from) noexcept;

}  // namespace duende::mlock::preload
