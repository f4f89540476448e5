// SPDX-License-Identifier: MIT OR Apache-2.0
// Files and folders, as far as the command looks at them.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include "text.hpp"

namespace duende::mlock::command {

/// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

[[nodiscard]] Descriptor open_file(const std::string& path, int flags = 0, mode_t mode = 0);

/// The contents; nothing if they cannot be read.
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);
[[nodiscard]] std::string read_or_empty(const std::string& path);
/// Whether the bytes occur in it, without the whole of it in memory.
[[nodiscard]] bool file_contains(const std::string& path, std::string_view bytes);
/// By way of another name beside it, so that nobody sees half of it. False after an error.
bool write_file(const std::string& path, std::string_view contents, mode_t mode);
bool make_folders(const std::string& path);

[[nodiscard]] std::optional<struct stat> status_of(const std::string& path);
[[nodiscard]] bool exists(const std::string& path);
[[nodiscard]] bool is_file(const std::string& path);
[[nodiscard]] bool is_readable(const std::string& path);
[[nodiscard]] bool is_executable(const std::string& path);

/// Where the link points to, if it is one.
[[nodiscard]] std::optional<std::string> read_link(const std::string& path);
/// Without links; nothing if there is no such file.
[[nodiscard]] std::optional<std::string> real_path(const std::string& path);
[[nodiscard]] std::string current_folder();

/// Names in a folder, in alphabetical order; none if it cannot be read.
[[nodiscard]] Words names_in(const std::string& folder);
/// Those that are numbers, in their order: of processes, threads, descriptors.
[[nodiscard]] std::vector<pid_t> numbers_in(const std::string& folder);

/// What a program prints on stdout; nothing if it cannot be run or fails.
[[nodiscard]] std::optional<std::string> output_of(const Words& command);
/// What it prints on stdout and stderr, with these variables besides; nothing if it cannot be run.
[[nodiscard]] std::string all_output_of(const Words& command, const Words& variables);

}  // namespace duende::mlock::command
