// SPDX-License-Identifier: MIT OR Apache-2.0
#include "mappings.hpp"

#include <cerrno>

#include <duende/mlock/detail/procfs.hpp>

namespace duende::mlock::preload {

namespace {

constexpr const char* kMaps = "/proc/self/maps";

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

/// Populates ranges of one file, in ascending order and as few as possible: those that touch
/// become one, and those before the first executable mapping wait until it shows up.
class CodeRanges {
 public:
  explicit CodeRanges(const Kernel& kernel) noexcept : kernel_(kernel) {}

  void add(const Mapping& mapping) noexcept {
    if (!mapping.same_file(last_)) {
      flush();
      count_ = 0;
      has_code_ = false;
    }
    last_ = mapping;
    if (mapping.inode == 0 || mapping.writable || mapping.shared || !mapping.readable) {
      return;
    }
    has_code_ |= mapping.executable;
    if (count_ != 0 && ranges_[count_ - 1].end == mapping.begin) {
      ranges_[count_ - 1].end = mapping.end;
      return;
    }
    if (count_ == kMost) {
      flush();
      count_ = 0;
    }
    ranges_[count_++] = {mapping.begin, mapping.end};
  }

  void flush() noexcept {
    for (unsigned i = 0; has_code_ && supported_ && i < count_; ++i) {
      supported_ =
          kernel_.populate_read(ranges_[i].begin, ranges_[i].end - ranges_[i].begin) != EINVAL;
    }
  }

 private:
  // A library has one or two. Of a file with more than these before its first code, the
  // earliest are left to be faulted in.
  static constexpr unsigned kMost = 8;
  struct Range {
    std::uintptr_t begin;
    std::uintptr_t end;
  };

  const Kernel& kernel_;
  Mapping last_;
  Range ranges_[kMost];
  unsigned count_ = 0;
  bool has_code_ = false;
  bool supported_ = true;
};

/// 0 without /proc.
std::uintptr_t find_lowest_stack_page(const Kernel& kernel) noexcept {
  detail::LineReader maps(kernel, kMaps);
  std::uintptr_t begin = 0;  // of the run of mappings that touch
  std::uintptr_t end = 0;
  while (const auto line = maps.next()) {
    const auto mapping = parse_mapping(*line);
    if (!mapping) {
      continue;
    }
    // In a child the part released in the parent is a mapping of its own, without the name.
    if (mapping->begin != end) {
      begin = mapping->begin;
    }
    end = mapping->inode == 0 ? mapping->end : 0;
    if (mapping->main_stack) {
      return begin;
    }
  }
  return 0;
}

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
  mapping.device = scan.hex(':') << 32;
  mapping.device |= scan.hex(' ');
  mapping.inode = scan.decimal();
  mapping.main_stack = mapping.inode == 0 && detail::ends_with(scan.rest(), " [stack]");
  return scan.valid() ? std::optional(mapping) : std::nullopt;
}

void make_code_resident(const Kernel& kernel) noexcept {
  detail::LineReader maps(kernel, kMaps);
  CodeRanges ranges(kernel);
  while (const auto line = maps.next()) {
    if (const auto mapping = parse_mapping(*line)) {
      ranges.add(*mapping);
    }
  }
  ranges.flush();
}

void bring_back_swapped(const Kernel& kernel) noexcept {
  detail::LineReader smaps(kernel, "/proc/self/smaps");
  Mapping mapping;
  while (const auto line = smaps.next()) {
    if (const auto next = parse_mapping(*line)) {
      mapping = *next;
    } else if (detail::kib_field(*line, "Swap:").value_or(0) != 0) {
      (void)kernel.populate_read(mapping.begin, mapping.end - mapping.begin);
    }
  }
}

bool GrowingStack::release(const Kernel& kernel) noexcept {
  if (extended_) {
    return true;
  }
  if (lowest_page_ == 0) {
    lowest_page_ = find_lowest_stack_page(kernel);
    return lowest_page_ != 0 && kernel.munlock(lowest_page_, page_size()) == 0;
  }
  const std::uintptr_t before = lowest_page_;
  while (kernel.is_mapped(lowest_page_ - page_size())) {
    lowest_page_ -= page_size();
  }
  if (!set_apart_ || lowest_page_ != before) {
    set_apart_ = true;
    (void)kernel.set_apart(lowest_page_);
  }
  return kernel.munlock(lowest_page_, page_size()) == 0;
}

}  // namespace duende::mlock::preload
