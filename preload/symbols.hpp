// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions found by name: those this library stands in front of, and those that not every C
// library has.
#pragma once

#include <string_view>

namespace duende::mlock::preload {

/// The function of that name that comes after this library in the order of symbol resolution, or
/// null: dlsym(RTLD_NEXT), which before glibc 2.34 would cost every process the loading of
/// libdl.so.2, a twentieth of its start-up. Not async-signal-safe.
[[nodiscard]] void* find_next(std::string_view name) noexcept;

}  // namespace duende::mlock::preload
