// SPDX-License-Identifier: MIT OR Apache-2.0
#include "mappings.hpp"

#include <sys/mman.h>
#include <iterator>

#include "policy.hpp"

namespace duende::mlock::preload {

namespace {

/// Takes a line apart from the left.
class Scanner {
 public:
  constexpr explicit Scanner(std::string_view line) noexcept : rest_(line) {}

  /// A number in lower-case hexadecimal, and the byte behind it, which has to be `end`.
  constexpr std::uint64_t hex(char end) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const char next = rest_[i];
      if (next == end) {
        rest_.remove_prefix(i + 1);
        return value;
      }
      const bool letter = next >= 'a' && next <= 'f';
      const int digit = letter ? next - 'a' + 10 : next - '0';
      if (!letter && (digit < 0 || digit > 9)) {
        break;
      }
      value = value * 16 + static_cast<unsigned>(digit);
    }
    valid_ = false;
    return value;
  }
  constexpr std::uint64_t decimal() noexcept {
    const auto number = detail::leading_number(rest_);
    valid_ = valid_ && number.found;
    rest_.remove_prefix(number.length);
    return number.value;
  }
  /// NUL at the end, which no line has.
  constexpr char byte() noexcept {
    valid_ = valid_ && !rest_.empty();
    if (!valid_) {
      return '\0';
    }
    const char first = rest_.front();
    rest_.remove_prefix(1);
    return first;
  }
  [[nodiscard]] constexpr std::string_view rest() const noexcept { return rest_; }
  [[nodiscard]] constexpr bool valid() const noexcept { return valid_; }

 private:
  std::string_view rest_;
  bool valid_ = true;
};

/// This process, as the policy sees it.
struct Here {
  const Kernel& kernel;
  bool populate;

  /// A path may lead there no more.
  [[nodiscard]] bool never_swapped(std::string_view mapped) const noexcept {
    detail::Text<511> path;
    path << mapped;
    return !path.truncated() && detail::starts_with(mapped, "/") &&
           kernel.swappable_path(path.c_str()) == Answer::no;
  }
  void leave(std::uintptr_t begin, std::size_t size) const noexcept {
    (void)kernel.munlock(begin, size);
  }
  void keep(std::uintptr_t begin, std::size_t size, bool) const noexcept {
    if (populate) {
      (void)kernel.lock(begin, size, false);
    }
  }
};

/// Touches the pages of a mapping that are in swap; how many could not be brought back.
class SwappedPages {
 public:
  explicit SwappedPages(const Kernel& kernel) noexcept
      : kernel_(kernel), file_(kernel.open_file("/proc/self/pagemap")) {}
  ~SwappedPages() {
    if (file_ >= 0) {
      kernel_.close_file(file_);
    }
  }
  SwappedPages(const SwappedPages&) = delete;
  SwappedPages& operator=(const SwappedPages&) = delete;

  [[nodiscard]] bool bring_back(const Mapping& mapping) const noexcept {
    constexpr std::uint64_t kInSwap = std::uint64_t{1} << 62;
    std::uint64_t entries[64];
    bool all = file_ >= 0;
    const std::size_t page = page_size();
    for (std::uintptr_t at = mapping.begin; all && at < mapping.end;) {
      const std::size_t left = (mapping.end - at) / page;
      const std::size_t wanted = left < std::size(entries) ? left : std::size(entries);
      const std::size_t count =
          kernel_.read_at(file_, entries, wanted * sizeof *entries, at / page * sizeof *entries) /
          sizeof *entries;
      all = count != 0;
      for (std::size_t i = 0; i < count; ++i, at += page) {
        all = all && ((entries[i] & kInSwap) == 0 || kernel_.touch(at));
      }
    }
    return all;
  }

 private:
  const Kernel& kernel_;
  int file_;
};

}  // namespace

std::optional<Mapping> parse_mapping(std::string_view line) noexcept {
  Scanner scan(line);
  Mapping mapping;
  mapping.begin = scan.hex('-');
  mapping.end = scan.hex(' ');
  mapping.readable = scan.byte() == 'r';
  mapping.writable = scan.byte() == 'w';
  mapping.executable = scan.byte() == 'x';
  mapping.shared = scan.byte() == 's';
  (void)scan.hex(' ');  // nothing more
  (void)scan.hex(' ');  // offset
  mapping.device_major = static_cast<unsigned>(scan.hex(':'));
  mapping.device_minor = static_cast<unsigned>(scan.hex(' '));
  mapping.inode = scan.decimal();
  const std::size_t path = scan.rest().find_first_not_of(' ');
  mapping.path = path == std::string_view::npos ? "" : detail::after(scan.rest(), path);
  return scan.valid() ? std::optional(mapping) : std::nullopt;
}

bool leave_data_files(const Kernel& kernel, bool populate) noexcept {
  detail::LineReader maps(kernel, "/proc/self/maps");
  Here here = {kernel, populate};
  apply_policy(maps, here);
  return maps.is_open();
}

bool bring_back_swapped(const Kernel& kernel) noexcept {
  detail::LineReader smaps(kernel, "/proc/self/smaps");
  const SwappedPages swapped(kernel);
  Mapping mapping;
  bool all = smaps.is_open();
  while (const auto line = smaps.next()) {
    if (const auto next = parse_mapping(*line)) {
      mapping = *next;
    } else if (detail::kib_field(*line, "Swap:").value_or(0) == 0) {
      continue;
    } else if (mapping.shared) {
      // Its page tables do not tell what is in swap; the kernel, which knows, can be asked to read
      // it in, and a hole is not filled.
      (void)kernel.advise(mapping.begin, mapping.size(), MADV_WILLNEED);
    } else {
      all = swapped.bring_back(mapping) && all;
    }
  }
  return all;
}

}  // namespace duende::mlock::preload
