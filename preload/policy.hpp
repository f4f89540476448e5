// SPDX-License-Identifier: MIT OR Apache-2.0
// The policy for each kind of mapping, as far as /proc/PID/maps tells them apart: this process's,
// and another's.
#pragma once

#include <duende/mlock/detail/procfs.hpp>

#include "mappings.hpp"

namespace duende::mlock::preload {

/// The mappings of one file that touch each other's lines: whether they are data shows only with
/// the last of them, as a library begins with one that cannot be executed. `Process` answers
/// never_swapped(path), and is told what to do: leave(begin, size) evictable what is a file
/// mapped as data, keep(begin, size, code) everything else.
template <class Process>
class FileMappings {
 public:
  explicit FileMappings(Process& process) noexcept : process_(process) {}

  void add(const Mapping& mapping) noexcept {
    if (!mapping.same_file(last_)) {
      finish();
      // By its device; a path tells only where there is no block device.
      data_ =
          mapping.inode != 0 && (mapping.device_major != 0 || process_.never_swapped(mapping.path));
    }
    last_ = mapping;
    last_.path = {};  // gone with the line
    data_ = data_ && !mapping.executable;
    const bool changes_memory = mapping.writable && !mapping.shared;
    if (!data_ || changes_memory || count_ == kMost) {
      process_.keep(mapping.begin, mapping.size(),
                    mapping.inode != 0 && !mapping.writable && !mapping.shared);
    } else {
      ranges_[count_++] = {mapping.begin, mapping.size()};
    }
  }

  void finish() noexcept {
    for (unsigned i = 0; i < count_; ++i) {
      if (data_) {
        process_.leave(ranges_[i].begin, ranges_[i].size);
      } else {
        process_.keep(ranges_[i].begin, ranges_[i].size, true);
      }
    }
    count_ = 0;
  }

 private:
  // Of one file with more data mappings in a row than these, the others stay locked.
  static constexpr unsigned kMost = 8;
  struct Range {
    std::uintptr_t begin;
    std::size_t size;
  };

  Process& process_;
  Mapping last_;
  Range ranges_[kMost];
  unsigned count_ = 0;
  bool data_ = false;
};

/// Of all the mappings there are.
template <class Process>
void apply_policy(detail::LineReader& maps, Process& process) noexcept {
  FileMappings<Process> mappings(process);
  while (const auto line = maps.next()) {
    if (const auto mapping = parse_mapping(*line)) {
      mappings.add(*mapping);
    }
  }
  mappings.finish();
}

}  // namespace duende::mlock::preload
