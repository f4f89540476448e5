// SPDX-License-Identifier: MIT OR Apache-2.0
// What a process finds around it, made for it alone in a mount namespace of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace duende::mlock::test {

/// Who sets the limits there, and so where they are changed.
enum class Place : unsigned char { shell, systemd, docker, podman, kubernetes };

inline constexpr Place kPlaces[] = {Place::shell, Place::systemd, Place::docker, Place::podman,
                                    Place::kubernetes};
inline constexpr std::string_view kUnit = "storage.service";  // of Place::systemd

[[nodiscard]] std::string_view name_of(Place place);

/// Why nobody here can be put anywhere.
[[nodiscard]] std::optional<std::string> missing_for_surroundings();

/// In a forked child: a mount namespace of its own, whose mounts stay in it.
void leave_mounts();

/// In a forked child: the machine as it is, without any trace of another place than this one. The
/// trace is by the process's number, so it outlives execve, and not fork.
void enter(Place place);
/// The same, with `groups` as the whole of its /proc/PID/cgroup.
void enter(Place place, std::string_view groups);

/// In a forked child: nothing is to be found in /proc.
void hide_proc();

}  // namespace duende::mlock::test
