// SPDX-License-Identifier: MIT OR Apache-2.0
// Processes as they are deployed: where, as whom, with what left; and the texts they then write.
#pragma once

#include <string>
#include <string_view>

#include "procfs.hpp"
#include "shim.hpp"
#include "surroundings.hpp"

namespace duende::mlock::test {

/// Host program `host` under the library, at that place; nothing else tells where it is.
[[nodiscard]] Launch placed(Place place, const std::string& host,
                            std::vector<std::string> arguments = {}, const Names& variables = {});

/// The same under strace, which itself runs without what it sets for the program: its system calls
/// are lines of stderr.
[[nodiscard]] Launch traced(Launch launch);

/// Says which precondition is missing, if one is.
[[nodiscard]] bool is_missing(Identity identity);
[[nodiscard]] bool strace_is_missing();
[[nodiscard]] bool surroundings_are_missing();

/// One line of whatever process: each `#` in a text stands for a number.
[[nodiscard]] std::string any_line(std::string_view program, std::string_view text);

/// The whole of stderr, with its numbers replaced by those of `pattern` where this has `#`.
void check_error(const Finished& finished, const std::string& pattern);

/// VmFlags, in the last dump of smaps in `text`, of the mapping that `text` calls `mapped NAME`;
/// with a blank around each.
[[nodiscard]] std::string flags_of_mapping(std::string_view text, std::string_view name);

/// The texts; `#` is a number.
namespace expected {

/// What would lift the limit there.
[[nodiscard]] std::string fix_of_limit(Place place);
/// The same, where CAP_IPC_LOCK was held at the start.
[[nodiscard]] std::string fix_of_held(Place place);
/// What would give the capability there.
[[nodiscard]] std::string fix_of_capability(Place place, std::string_view capability);
[[nodiscard]] std::string fix_of_seccomp(Place place, std::string_view call = "mlockall");

/// Why CAP_IPC_LOCK, or another, does not help.
[[nodiscard]] std::string state_as_user(int number, std::string_view capability);

/// Up to the fix.
/// Best effort where only the capability lifts the limit.
[[nodiscard]] std::string lifted(rlim_t limit, std::string_view unit = "MB");
[[nodiscard]] std::string exempt_until_dropped(rlim_t limit, std::string_view unit = "MB");
[[nodiscard]] std::string dropped(rlim_t limit, bool required);
[[nodiscard]] std::string child_current_only(rlim_t limit, std::string_view state);
[[nodiscard]] std::string child_too_large(rlim_t limit, std::string_view state);

/// `call` failed with `why`.
[[nodiscard]] std::string no_io_flusher(std::string_view why, bool required);
[[nodiscard]] std::string no_realtime(std::string_view why, bool required);
[[nodiscard]] std::string lacks_capability(Place place, int number, std::string_view capability);
[[nodiscard]] std::string old_kernel(std::string_view errno_name, std::string_view since);
/// A seccomp filter answers, or kills, in place of the kernel.
[[nodiscard]] std::string filtered(std::string_view errno_name, Place place, std::string_view call);
[[nodiscard]] std::string without_effect();

[[nodiscard]] std::string left_alone();

}  // namespace expected

}  // namespace duende::mlock::test
