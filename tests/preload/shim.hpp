// SPDX-License-Identifier: MIT OR Apache-2.0
// Launches under the preload library, and every text that it is expected to write.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "child.hpp"
#include "stage.hpp"

namespace duende::mlock::test {

inline constexpr rlim_t kKiB = 1024;
inline constexpr rlim_t kMiB = 1024 * kKiB;
inline constexpr rlim_t kDefaultLimit = 8 * kMiB;  // of the kernel; here the most there is

using Names = std::vector<std::string_view>;

/// A host program with its arguments; the environment is empty.
[[nodiscard]] Launch plain(const std::string& host, std::vector<std::string> arguments = {});
/// The same under the library, where each of `variables` is `NAME=VALUE` without the prefix.
[[nodiscard]] Launch shimmed(const std::string& host, std::vector<std::string> arguments = {},
                             const Names& variables = {});
void add_variables(Launch& launch, const Names& variables);
/// RLIMIT_MEMLOCK, soft and hard.
void limit_locking(Launch& launch, rlim_t bytes);
void limit_locking(Launch& launch, rlim_t soft, rlim_t hard);
/// Why nobody here can be given that limit; empty if somebody can.
[[nodiscard]] std::string missing_for_limit(rlim_t bytes);

/// The line on stderr: `duende-mlock[PID] PROGRAM: TEXT`.
[[nodiscard]] std::string line_of(const Finished& finished, std::string_view program,
                                  std::string_view text);
/// `pattern` with each `#` replaced by the number that `actual` has there, so that the two can be
/// compared as a whole.
[[nodiscard]] std::string with_numbers_of(std::string_view pattern, std::string_view actual);

/// What host `report` says of itself, in bytes.
[[nodiscard]] std::uint64_t locked_at_main(const Finished& finished);
[[nodiscard]] std::uint64_t address_space_at_main(const Finished& finished);
[[nodiscard]] std::uint64_t locked_after_mapping(const Finished& finished);

/// The texts. Tests tell the library that it runs in Kubernetes, the first host it looks for, so
/// that the fix does not depend on the machine.
namespace expected {

[[nodiscard]] std::string limit(rlim_t bytes);
/// Locked without reserve.
[[nodiscard]] std::string locked(std::uint64_t bytes, std::string_view what);
/// Locked by the capability alone.
[[nodiscard]] std::string lifted(std::uint64_t bytes, rlim_t limit);
[[nodiscard]] std::string exempt(std::uint64_t bytes, rlim_t limit);
/// Best effort under a limit.
[[nodiscard]] std::string current_only(std::uint64_t bytes, rlim_t limit, Identity identity);
/// A limit of 0, where nobody told the library the host: the fix is its own finding.
[[nodiscard]] std::string no_limit_at_all(std::string_view fix);
/// Told to lock what is mapped later, under a limit.
[[nodiscard]] std::string headroom(std::uint64_t bytes, rlim_t limit, Identity identity);
/// RLIMIT_MEMLOCK is 0.
[[nodiscard]] std::string no_limit_at_all(Identity identity, bool required);
/// The address space, `#` KiB, does not fit.
[[nodiscard]] std::string too_large(rlim_t limit, Identity identity, bool required);
/// mlockall by root was refused with `errno_name`, for another reason than the limit.
[[nodiscard]] std::string refused(std::string_view errno_name);
[[nodiscard]] std::string not_honoured();
/// Locked as `exempt`, on a kernel without MCL_ONFAULT.
[[nodiscard]] std::string without_onfault(std::uint64_t bytes, rlim_t limit);
/// Under REQUIRED, the beginning of whatever failed.
[[nodiscard]] std::string not_locked(bool required);

[[nodiscard]] std::string nothing_to_lock();
[[nodiscard]] std::string onfault_of_nothing();
/// `quoted` as the line shows it.
[[nodiscard]] std::string bad_value(std::string_view name, std::string_view quoted);
[[nodiscard]] std::string unknown_name(std::string_view quoted, std::string_view nearest);

/// A variable as the product's own documentation lists it.
struct Variable {
  std::string_view name;
  std::string_view accepted;
  std::string_view fallback;
  std::string_view samples;  // of what is accepted, blanks between
};
[[nodiscard]] std::span<const Variable> variables();

}  // namespace expected

}  // namespace duende::mlock::test
