// SPDX-License-Identifier: MIT OR Apache-2.0
#include "passages.hpp"

namespace duende::mlock::store {

namespace {

struct Entry {
  off_t begin = 0;
  off_t end = 0;
  std::uint64_t ticket = 0;  // 0: nobody
  unsigned file = 0;
  Use use = Use::read;
};

/// More threads at once than that wait for a slot.
constexpr unsigned kSlots = 64;

struct Passages {
  Monitor monitor;
  std::uint64_t tickets = 0;
  Entry entries[kSlots];
};
constinit Passages g_passages;

constexpr bool exclude(const Entry& a, const Entry& b) noexcept {
  if (a.file != b.file) {
    return false;
  }
  if (a.use == Use::alone || b.use == Use::alone) {
    return true;
  }
  const bool edited = a.use == Use::edit || b.use == Use::edit;
  const bool read = a.use == Use::read || b.use == Use::read;
  return edited && !read && a.begin < b.end && b.begin < a.end;
}

bool is_blocked(const Entry& mine) noexcept {
  for (const Entry& other : g_passages.entries) {
    if (other.ticket != 0 && other.ticket < mine.ticket && exclude(mine, other)) {
      return true;
    }
  }
  return false;
}

unsigned free_slot() noexcept {
  for (;;) {
    for (unsigned i = 0; i < kSlots; ++i) {
      if (g_passages.entries[i].ticket == 0) {
        return i;
      }
    }
    g_passages.monitor.wait();
  }
}

}  // namespace

Passage::Passage(unsigned file, off_t begin, off_t end, Use use) noexcept : slot_(0) {
  const Held held(g_passages.monitor);
  slot_ = free_slot();
  Entry& mine = g_passages.entries[slot_];
  mine = {begin, end, ++g_passages.tickets, file, use};
  while (is_blocked(mine)) {
    g_passages.monitor.wait();
  }
}

Passage::~Passage() {
  const Held held(g_passages.monitor);
  g_passages.entries[slot_].ticket = 0;
  g_passages.monitor.changed();
}

void forget_passages() noexcept {
  g_passages.monitor.reset();
  for (Entry& entry : g_passages.entries) {
    entry.ticket = 0;
  }
}

}  // namespace duende::mlock::store
