// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions this library stands in front of, and the whole of what it exports.
#pragma once

namespace duende::mlock::preload {

/// Finds what the wrappers stand in front of. Once, before main.
void find_wrapped_functions() noexcept;

}  // namespace duende::mlock::preload
