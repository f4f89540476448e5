// SPDX-License-Identifier: MIT OR Apache-2.0
#include "build.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "elf.hpp"
#include "file.hpp"
#include "process.hpp"

namespace duende::mlock::command {

namespace {

/// The headers and notes of the library are in its first page.
std::string build_id_at(const std::string& path, std::uint64_t offset) {
  const Descriptor file = open_file(path, O_RDONLY);
  std::string page(4096, '\0');
  const ssize_t size = ::pread(file.number(), page.data(), page.size(), static_cast<off_t>(offset));
  page.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return parse_build_id(page);
}

}  // namespace

Build build_of(pid_t pid) {
  const auto mapping = library_mapping(read_or_empty(in_proc(pid, "maps")));
  if (!mapping) {
    return {};
  }
  // What is mapped: the file may be gone, and its way in map_files takes more than ptrace(2) does.
  return {.mapped = build_id_at(in_proc(pid, "mem"), mapping->begin),
          .installed = build_id_at(in_proc(pid, "root") + mapping->path, 0)};
}

}  // namespace duende::mlock::command
