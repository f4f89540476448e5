// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions found by name: those this library stands in front of, and those that not every C
// library has.
#pragma once

#include <cstddef>
#include <span>

namespace duende::mlock::preload {

inline constexpr std::size_t kMostNames = 64;

/// As `find_all_next`, of at most kMostNames names.
void find_names(const char* names, std::span<void*> found) noexcept;

/// Fills what is null of `found`: the functions of these names, one after the other with a NUL
/// between ("setuid\0seteuid"), that come after this library in the order of symbol resolution, or
/// null. It is dlsym(RTLD_NEXT), which before glibc 2.34 would cost every process the loading of
/// libdl.so.2, a twentieth of its start-up; all in one pass over what is loaded. Not
/// async-signal-safe.
template <std::size_t Count>
void find_all_next(const char* names, void* (&found)[Count]) noexcept {
  static_assert(Count <= kMostNames);
  find_names(names, found);
}

/// One alone.
[[nodiscard]] inline void* find_next(const char* name) noexcept {
  void* found[1] = {};
  find_all_next(name, found);
  return found[0];
}

}  // namespace duende::mlock::preload
