// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffers.hpp"

#include <sys/mman.h>
#include <bit>
#include <cerrno>

#include "monitor.hpp"

namespace duende::mlock::store {

namespace {

constexpr std::size_t kPoolSize = kBuffers * Buffer::kSize;
constexpr std::uint32_t kAll = (std::uint32_t{1} << kBuffers) - 1;

struct Pool {
  Monitor monitor;
  char* memory = nullptr;
  std::uint32_t unused = kAll;  // a bit for each
};
constinit Pool g_pool;

}  // namespace

Buffer::Buffer() noexcept : number_(0), bytes_(nullptr) {
  const Held held(g_pool.monitor);
  while (g_pool.unused == 0) {
    g_pool.monitor.wait();
  }
  number_ = static_cast<unsigned>(std::countr_zero(g_pool.unused));
  g_pool.unused &= g_pool.unused - 1;
  bytes_ = g_pool.memory + number_ * kSize;
}

Buffer::~Buffer() {
  const Held held(g_pool.monitor);
  g_pool.unused |= std::uint32_t{1} << number_;
  g_pool.monitor.changed();
}

bool make_buffers() noexcept {
  if (g_pool.memory == nullptr) {
    void* const memory = ::mmap(nullptr, kPoolSize, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    g_pool.memory = memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
  }
  return g_pool.memory != nullptr;
}

int lock_buffers() noexcept {
  return preload::system_call(SYS_mlock, g_pool.memory, kPoolSize) == 0 ? 0 : errno;
}

void forget_buffers() noexcept {
  g_pool.monitor.reset();
  g_pool.unused = kAll;
}

}  // namespace duende::mlock::store
