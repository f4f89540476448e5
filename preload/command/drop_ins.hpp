// SPDX-License-Identifier: MIT OR Apache-2.0
// The command's drop-ins on disk: written, and taken away again, those that it has written alone.
#pragma once

#include "text.hpp"

namespace duende::mlock::command {

/// The first line of each, by which it is known again.
[[nodiscard]] std::string drop_in_header(const std::string& unit);

class DropIns {
 public:
  /// `root`: the folder that paths begin in, without a slash at its end. With `dry_run`, it is only
  /// said what would be done.
  DropIns(std::string root, bool dry_run) : root_(std::move(root)), dry_run_(dry_run) {}

  /// Throws if the file of that name is somebody else's, or cannot be written.
  void install(const std::string& unit, const std::string& text);
  void remove(const std::string& unit);
  /// Has systemd read them, if one has changed: the exit status.
  [[nodiscard]] int finish() const;

 private:
  [[nodiscard]] std::string folder(const std::string& unit) const;
  [[nodiscard]] std::string file(const std::string& unit) const;
  /// What is there; nothing if there is none.
  [[nodiscard]] std::optional<std::string> own(const std::string& unit) const;

  std::string root_;
  bool dry_run_;
  Words changed_;
};

}  // namespace duende::mlock::command
