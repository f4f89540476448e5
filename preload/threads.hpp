// SPDX-License-Identifier: MIT OR Apache-2.0
// What threads cost under MCL_FUTURE: each its whole stack, and each of glibc's arenas 64 MiB.
#pragma once

#include "report.hpp"

namespace duende::mlock::preload {

/// DUENDE_MLOCK_THREAD_STACK and DUENDE_MLOCK_ARENAS: defaults of the C library, which a program
/// that sets its own does not see. False, and a line, where something asked for does not hold.
[[nodiscard]] bool apply_thread_settings(const Settings& settings) noexcept;

}  // namespace duende::mlock::preload
