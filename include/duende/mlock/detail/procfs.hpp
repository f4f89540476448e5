// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading /proc without a heap: line by line, and what /proc/self/status says of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <duende/mlock/detail/kernel.hpp>
#include <duende/mlock/detail/text.hpp>

namespace duende::mlock::detail {

/// The lines of a file, one at a time, through a buffer on the stack. A line longer than the
/// buffer (a path in /proc/self/maps, the groups in /proc/self/status) comes cut to its
/// beginning. Small enough for a fork handler on a thread's minimal stack.
class LineReader {
 public:
  LineReader(const Kernel& kernel, const char* path) noexcept
      : kernel_(kernel), file_(kernel.open_file(path)) {}
  ~LineReader() {
    if (file_ >= 0) {
      kernel_.close_file(file_);
    }
  }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  [[nodiscard]] bool is_open() const noexcept { return file_ >= 0; }

  /// The next line without its newline, valid until the next call; empty at the end.
  [[nodiscard]] std::optional<std::string_view> next() noexcept {
    for (;;) {
      const std::string_view unread(buffer_ + scanned_, filled_ - scanned_);
      const std::size_t length = unread.find('\n');
      if (length != std::string_view::npos) {
        const std::string_view line(buffer_ + begin_, scanned_ + length - begin_);
        begin_ = scanned_ = scanned_ + length + 1;
        if (!skipping_) {
          return line;
        }
        skipping_ = false;
        continue;
      }
      scanned_ = filled_;
      if (!skipping_ && begin_ == 0 && filled_ == sizeof buffer_) {
        skipping_ = true;
        begin_ = filled_;
        return std::string_view(buffer_, filled_);
      }
      if (!refill()) {
        return last_line();
      }
    }
  }

 private:
  bool refill() noexcept {
    if (skipping_) {
      begin_ = filled_;
    }
    const std::size_t kept = filled_ - begin_;
    for (std::size_t i = 0; i < kept; ++i) {
      buffer_[i] = buffer_[begin_ + i];
    }
    begin_ = 0;
    scanned_ = filled_ = kept;
    const std::size_t count =
        file_ < 0 ? 0 : kernel_.read_file(file_, buffer_ + filled_, sizeof buffer_ - filled_);
    filled_ += count;
    return count != 0;
  }

  /// What stands behind the last newline, once.
  std::optional<std::string_view> last_line() noexcept {
    const std::string_view line(buffer_ + begin_, filled_ - begin_);
    begin_ = scanned_ = filled_ = 0;
    return skipping_ || line.empty() ? std::nullopt : std::optional(line);
  }

  const Kernel& kernel_;
  int file_;
  std::size_t begin_ = 0;    // of the current line
  std::size_t scanned_ = 0;  // no newline before this
  std::size_t filled_ = 0;
  bool skipping_ = false;  // through the rest of a line that was cut
  char buffer_[1024];
};

/// From /proc/self/status, in bytes.
struct MemoryUse {
  std::size_t address_space = 0;  // VmSize
  std::size_t locked = 0;         // VmLck: charged address space, not resident memory
  std::size_t swapped = 0;        // VmSwap (Linux 2.6.34)
};

/// `line` is `KEY   123 kB`: the bytes, if it has this key. Saturates.
[[nodiscard]] constexpr std::optional<std::size_t> kib_field(std::string_view line,
                                                             std::string_view key) noexcept {
  if (!starts_with(line, key)) {
    return std::nullopt;
  }
  line.remove_prefix(key.size());
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) {
    line.remove_prefix(1);
  }
  const Number number = leading_number(line);
  if (!number.found) {
    return std::nullopt;
  }
  constexpr std::size_t kMost = SIZE_MAX / 1024;
  return (number.value < kMost ? static_cast<std::size_t>(number.value) : kMost) * 1024;
}

/// Empty when /proc is not mounted, or is not the kernel's.
[[nodiscard]] inline std::optional<MemoryUse> read_memory_use(const Kernel& kernel) noexcept {
  LineReader status(kernel, "/proc/self/status");
  MemoryUse use;
  bool found = false;
  while (const auto line = status.next()) {
    if (const auto size = kib_field(*line, "VmSize:")) {
      use.address_space = *size;
    } else if (const auto locked = kib_field(*line, "VmLck:")) {
      use.locked = *locked;
      found = true;
    } else if (const auto swapped = kib_field(*line, "VmSwap:")) {
      use.swapped = *swapped;
      break;  // the last of them
    }
  }
  return found ? std::optional(use) : std::nullopt;
}

}  // namespace duende::mlock::detail
