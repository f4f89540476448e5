// SPDX-License-Identifier: MIT OR Apache-2.0
#include "file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace duende::mlock::command {

Descriptor::~Descriptor() {
  if (number_ >= 0) {
    ::close(number_);
  }
}

Descriptor open_file(const std::string& path, int flags, mode_t mode) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC, mode));
}

namespace {

/// False after an error.
bool read_all(int file, std::string& contents) {
  char piece[16384];
  ssize_t count = 0;
  while ((count = ::read(file, piece, sizeof piece)) > 0) {
    contents.append(piece, static_cast<std::size_t>(count));
  }
  return count == 0;
}

}  // namespace

std::optional<std::string> read_file(const std::string& path) {
  const Descriptor file = open_file(path, O_RDONLY);
  std::string contents;
  if (!file.is_open() || !read_all(file.number(), contents)) {
    return std::nullopt;
  }
  return contents;
}

std::string read_or_empty(const std::string& path) { return read_file(path).value_or(""); }

bool file_contains(const std::string& path, std::string_view bytes) {
  const Descriptor file = open_file(path, O_RDONLY);
  std::string piece(std::size_t{1} << 18, '\0');
  std::size_t kept = 0;  // of the last piece, in which it may begin
  ssize_t count = 0;
  while ((count = ::read(file.number(), &piece[kept], piece.size() - kept)) > 0) {
    const auto read = std::string_view(piece).substr(0, kept + static_cast<std::size_t>(count));
    if (read.find(bytes) != read.npos) {
      return true;
    }
    kept = std::min(bytes.size() - 1, read.size());
    std::copy(read.end() - static_cast<std::ptrdiff_t>(kept), read.end(), piece.begin());
  }
  return false;
}

bool write_file(const std::string& path, std::string_view contents, mode_t mode) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const std::string other = format("{}.{}.new", folder, base_name(path));
  {
    const Descriptor file = open_file(other, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (!file.is_open() || ::fchmod(file.number(), mode) != 0) {
      return false;
    }
    while (!contents.empty()) {
      const ssize_t written = ::write(file.number(), contents.data(), contents.size());
      if (written < 0) {
        ::unlink(other.c_str());
        return false;
      }
      contents.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  return ::rename(other.c_str(), path.c_str()) == 0;
}

bool make_folders(const std::string& path) {
  for (auto slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  }
  return ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
}

std::optional<struct stat> status_of(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? std::optional(status) : std::nullopt;
}
bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
bool is_file(const std::string& path) {
  const auto status = status_of(path);
  return status && S_ISREG(status->st_mode);
}
bool is_readable(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }
bool is_executable(const std::string& path) {
  return is_file(path) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<std::string> read_link(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) {
    return std::nullopt;
  }
  target.resize(static_cast<std::size_t>(length));
  return target;
}

std::optional<std::string> real_path(const std::string& path) {
  char* const resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) {
    return std::nullopt;
  }
  std::string real = resolved;
  std::free(resolved);
  return real;
}

std::string current_folder() { return real_path(".").value_or("."); }

Words names_in(const std::string& folder) {
  Words names;
  if (DIR* const open = ::opendir(folder.c_str())) {
    while (const dirent* const entry = ::readdir(open)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        names.emplace_back(name);
      }
    }
    ::closedir(open);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<pid_t> numbers_in(const std::string& folder) {
  std::vector<pid_t> numbers;
  for (const std::string& name : names_in(folder)) {
    if (const auto value = number(name)) {
      numbers.push_back(static_cast<pid_t>(*value));
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

namespace {

std::vector<char*> pointers(const Words& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) {
    pointers.push_back(const_cast<char*>(word.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

struct Run {
  int status = -1;  // of waitpid(2)
  std::string output;
};

Run run_and_read(const Words& command, char** environment, bool errors_too) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return {};
  }
  const Descriptor reader(ends[0]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (errors_too) {
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  } else {
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  const auto words = pointers(command);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, words[0], &actions, nullptr, words.data(), environment);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Run run;
  if (error == 0) {
    read_all(reader.number(), run.output);
    while (::waitpid(child, &run.status, 0) < 0 && errno == EINTR) {
    }
  }
  return run;
}

}  // namespace

std::optional<std::string> output_of(const Words& command) {
  Run run = run_and_read(command, environ, false);
  return run.status == 0 ? std::optional(std::move(run.output)) : std::nullopt;
}

std::string all_output_of(const Words& command, const Words& variables) {
  Words environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  environment.insert(environment.begin(), variables.begin(), variables.end());
  return run_and_read(command, pointers(environment).data(), true).output;
}

}  // namespace duende::mlock::command
