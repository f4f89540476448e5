// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cgroup.hpp"

#include <algorithm>

#include <duende/mlock/detail/procfs.hpp>

namespace duende::mlock::preload {

namespace {

/// SIZE_MAX where the file is not there, or says "max".
std::size_t read_limit(const Kernel& kernel, const char* path) noexcept {
  char text[24];
  const int file = kernel.open_file(path);
  if (file < 0) {
    return SIZE_MAX;
  }
  const std::size_t size = kernel.read_file(file, text, sizeof text);
  kernel.close_file(file);
  const auto number = detail::leading_number({text, size});
  return number.found ? static_cast<std::size_t>(number.value) : SIZE_MAX;
}

/// The least of a group and of all above it. In a container without a namespace of its own the path
/// is the host's, and only the root is there.
std::size_t least_limit(const Kernel& kernel, std::string_view mount, std::string_view group,
                        std::initializer_list<const char*> names) noexcept {
  std::size_t least = SIZE_MAX;
  for (;;) {
    for (const char* const name : names) {
      detail::Text<767> path;
      path << mount << group << name;
      least = std::min(least, read_limit(kernel, path.c_str()));
    }
    const std::size_t slash = group.rfind('/');
    if (slash == std::string_view::npos) {
      return least;
    }
    group = {group.data(), slash};
  }
}

}  // namespace

std::size_t memory_limit(const Kernel& kernel, const char* groups_path) noexcept {
  const std::size_t machine = kernel.total_memory();
  std::size_t least = machine != 0 ? machine : SIZE_MAX;
  detail::LineReader groups(kernel, groups_path);
  while (const auto line = groups.next()) {
    // ID:CONTROLLERS:PATH, cgroups(7).
    const auto rest = detail::after(*line, detail::leading_number(*line).length);
    if (detail::starts_with(rest, "::/")) {
      least = std::min(least, least_limit(kernel, "/sys/fs/cgroup", detail::after(rest, 2),
                                          {"/memory.max", "/memory.high"}));
    } else if (detail::starts_with(rest, ":memory:/")) {
      least = std::min(least, least_limit(kernel, "/sys/fs/cgroup/memory", detail::after(rest, 8),
                                          {"/memory.limit_in_bytes"}));
    }
  }
  return least;
}

}  // namespace duende::mlock::preload
