// SPDX-License-Identifier: MIT OR Apache-2.0
#include "code.hpp"

#include <algorithm>
#include <iterator>

namespace duende::mlock::preload {

namespace {

constinit ResidentCode g_resident_code;

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

CodeBudget::Share CodeBudget::share_of(std::size_t size, const Kernel& kernel,
                                       const char* groups) noexcept {
  Share share = {size, 0};
  if (seen_ + size > kFree) {
    if (most_ == 0) {
      const std::size_t limit = memory_limit(kernel, groups);
      most_ = std::max(std::min(kCodeBudget, limit / 4), kFree);
      lockable_ = std::max({lockable_, limit / 2, kFree});
    }
    share.resident = std::min(size, (most_ - resident_) & ~(page_size() - 1));
    share.evictable = seen_ + size <= lockable_ ? 0 : size - share.resident;
  }
  resident_ += share.resident;
  seen_ += size - share.evictable;
  return share;
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
  const CodeBudget::Share share = code.budget_.share_of(size, walk.kernel);
  const Range range = {begin, kib(share.resident), kib(share.evictable)};
  if (share.resident != 0) {
    (void)walk.kernel.populate_read(begin, share.resident);
  }
  range.leave_rest(walk.kernel);
  if (code.count_ != std::size(code.ranges_)) {
    code.ranges_[code.count_++] = range;
    walk.place = code.count_;
  }
}

void ResidentCode::read_in(const Kernel& kernel) noexcept {
  if (__atomic_exchange_n(&busy_, 1, __ATOMIC_ACQUIRE) == 0) {
    Walk walk = {kernel, *this, loads_ != 0};
    loads_ = kernel.load_count();
    kernel.visit_code(add, &walk);
    __atomic_store_n(&busy_, 0, __ATOMIC_RELEASE);
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
