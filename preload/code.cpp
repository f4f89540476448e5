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

constexpr std::size_t bytes(std::uint32_t kib) noexcept { return std::size_t{kib} << 10; }
constexpr std::uint32_t kib(std::size_t bytes) noexcept {
  return static_cast<std::uint32_t>(bytes >> 10);
}

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

ResidentCode::Range ResidentCode::share_of(const Kernel& kernel, std::uintptr_t begin,
                                           std::size_t size) noexcept {
  std::size_t resident = size;
  bool fits = true;
  if (seen_ + size > kFree) {
    if (budget_ == 0) {
      const std::size_t limit = memory_limit(kernel);
      budget_ = std::max(std::min(kCodeBudget, limit / 4), kFree);
      lockable_ = std::max({lockable_, limit / 2, kFree});
    }
    resident = std::min(size, (budget_ - resident_) & ~(page_size() - 1));
    fits = seen_ + size <= lockable_;
  }
  resident_ += resident;
  seen_ += fits ? size : resident;
  return {begin, kib(resident), fits ? 0 : kib(size - resident)};
}

void ResidentCode::Range::leave_rest(const Kernel& kernel) const noexcept {
  if (evictable != 0) {
    (void)kernel.munlock(begin + bytes(resident), bytes(evictable));
  }
}

void ResidentCode::add(void* opaque, std::uintptr_t begin, std::size_t size,
                       bool writable) noexcept {
  auto& walk = *static_cast<Walk*>(opaque);
  ResidentCode& code = walk.code;
  const bool known = !writable && walk.knows(begin);
  if (walk.later && !known) {
    (void)walk.kernel.lock(begin, size, true);
  }
  if (writable || known) {
    return;
  }
  const Range range = code.share_of(walk.kernel, begin, size);
  if (range.resident != 0) {
    (void)walk.kernel.populate_read(begin, bytes(range.resident));
  }
  range.leave_rest(walk.kernel);
  if (code.count_ != std::size(code.ranges_)) {
    code.ranges_[code.count_++] = range;
    walk.place = code.count_;
  }
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
    const std::size_t size = std::min(bytes(ranges_[i].resident), most);
    (void)kernel.populate_read(ranges_[i].begin, size);
    most -= size;
  }
}

void ResidentCode::leave_rest(const Kernel& kernel) const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    ranges_[i].leave_rest(kernel);
  }
}

void ResidentCode::look_for_more(const Kernel& kernel) noexcept {
  if (loads_ != 0 && loads_ != kernel.load_count()) {
    read_in(kernel);
  }
}

ResidentCode& resident_code() noexcept { return g_resident_code; }

}  // namespace duende::mlock::preload
