// SPDX-License-Identifier: MIT OR Apache-2.0
// The library and the host programs, copied to where every user can reach them.
#pragma once

#include <string>

namespace duende::mlock::test {

/// A folder under /tmp, removed at exit. A build folder may well be closed to other users.
class Stage {
 public:
  static const Stage& get();

  [[nodiscard]] const std::string& library() const { return library_; }
  /// The path of a program of tests/hosts.
  [[nodiscard]] std::string host(const std::string& name) const { return folder_ + '/' + name; }
  [[nodiscard]] bool has_host(const std::string& name) const;
  /// A folder of that name which every user may write to; made anew and empty.
  [[nodiscard]] std::string empty_folder(const std::string& name) const;

  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

 private:
  Stage();
  ~Stage();

  std::string folder_;
  std::string library_;
};

}  // namespace duende::mlock::test
