// SPDX-License-Identifier: MIT OR Apache-2.0
#include "code.hpp"

#include <algorithm>
#include <iterator>

#include "cgroup.hpp"

namespace duende::mlock::preload {

namespace {

constinit ResidentCode g_resident_code;

/// So much is read in without a look at the limits, which would take longer than that.
constexpr std::size_t kFree = std::size_t{4} << 20;

}  // namespace

/// One walk over all objects, which come in the same order each time: a known one is found where
/// the last one was. One that took the place of another since is taken for it, and left to faults.
struct ResidentCode::Walk {
  const Kernel& kernel;
  ResidentCode& code;
  bool later;  // mlockall(2) has been before it, and may not have been about what is to come
  std::size_t place = 0;

  [[nodiscard]] bool knows(std::uintptr_t begin) noexcept {
    for (std::size_t i = 0; i < code.count_; ++i) {
      const std::size_t at = (place + i) % code.count_;
      if (code.ranges_[at].begin == begin) {
        place = at + 1;
        return true;
      }
    }
    return false;
  }
};

std::size_t ResidentCode::room_for(const Kernel& kernel, std::size_t size) noexcept {
  if (used_ + size > kFree && budget_ == 0) {
    budget_ = std::max(std::min(kCodeBudget, memory_limit(kernel) / 4), kFree);
  }
  return std::min(size, std::max(budget_, kFree) - used_);
}

bool ResidentCode::add(void* opaque, std::uintptr_t begin, std::size_t size,
                       bool writable) noexcept {
  auto& walk = *static_cast<Walk*>(opaque);
  ResidentCode& code = walk.code;
  const bool known = !writable && walk.knows(begin);
  if (walk.later && !known) {
    (void)walk.kernel.lock(begin, size, true);
  }
  if (writable || known) {
    return true;
  }
  const Range range = {begin, code.room_for(walk.kernel, size)};
  if (range.size != 0) {
    (void)walk.kernel.populate_read(range.begin, range.size);
    code.used_ += range.size;
  }
  if (code.count_ != std::size(code.ranges_)) {
    code.ranges_[code.count_++] = range;
    walk.place = code.count_;
  }
  return range.size != 0 || walk.later;
}

void ResidentCode::read_in(const Kernel& kernel) noexcept {
  if (!__atomic_exchange_n(&busy_, true, __ATOMIC_ACQUIRE)) {
    Walk walk = {kernel, *this, loads_ != 0};
    loads_ = kernel.load_count();
    kernel.visit_code(add, &walk);
    __atomic_store_n(&busy_, false, __ATOMIC_RELEASE);
  }
}

void ResidentCode::read_in_again(const Kernel& kernel, std::size_t most) const noexcept {
  for (std::size_t i = 0; i < count_ && most != 0; ++i) {
    const std::size_t size = std::min(ranges_[i].size, most);
    (void)kernel.populate_read(ranges_[i].begin, size);
    most -= size;
  }
}

void ResidentCode::look_for_more(const Kernel& kernel) noexcept {
  if (loads_ != 0 && loads_ != kernel.load_count()) {
    read_in(kernel);
  }
}

ResidentCode& resident_code() noexcept { return g_resident_code; }

}  // namespace duende::mlock::preload
