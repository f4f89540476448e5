// SPDX-License-Identifier: MIT OR Apache-2.0
// Swap devices, and the daemons that serve them.
#pragma once

#include <sys/types.h>

#include "text.hpp"

namespace duende::mlock::command {

/// Those in use: /proc/swaps.
[[nodiscard]] Words swap_devices();
/// What kind of daemon serves a device: nbd, ublk, fuse or iscsi; empty if the kernel does.
[[nodiscard]] std::string swap_kind(const std::string& device);
/// Whether a daemon may be the one that serves a device. Its open files tell for ublk and FUSE, its
/// name for the others: the end of a socket does not say what is at the other one. `pid` 0: it does
/// not run.
[[nodiscard]] bool may_serve(std::string_view kind, const std::string& device,
                             std::string_view program, pid_t pid);

/// Whether a server of block devices, by its name and its arguments, reads and writes what it
/// serves through the page cache, where a write may have to wait for memory.
[[nodiscard]] bool is_behind_page_cache(std::string_view program, const Words& arguments);

}  // namespace duende::mlock::command
