// SPDX-License-Identifier: MIT OR Apache-2.0
// The library to preload: where it is, and what keeps a loader from using it.
#pragma once

#include "reach.hpp"

namespace duende::mlock::command {

inline constexpr std::string_view kLibraryName = "libduende_mlock_preload.so";
/// The second one, for DUENDE_MLOCK_STORE.
inline constexpr std::string_view kStoreLibraryName = "libduende_mlock_store.so";
/// Where packages and Dockerfiles put it in an image.
inline constexpr std::string_view kImageFolder = "/usr/local/lib";

/// The library as seen in `root` (a folder without a slash at its end; empty: the machine's own).
/// `said` is what the user says; empty: beside this program, or in the folder above it (in a build
/// folder); where it was installed; in an image, where packages have it.
[[nodiscard]] std::string locate_library(const std::string& said, const std::string& root = "");

/// The second library, beside the first, as seen in `root`.
[[nodiscard]] std::string store_library(const std::string& library, const std::string& root = "");

[[nodiscard]] std::optional<Obstacle> library_obstacle(const std::string& library,
                                                       const std::string& root = "");

/// This program's own file, whatever links led to it.
[[nodiscard]] std::string own_path();

}  // namespace duende::mlock::command
