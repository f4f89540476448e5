// SPDX-License-Identifier: MIT OR Apache-2.0
#include "threads.hpp"

#include <pthread.h>

#include "symbols.hpp"

extern "C" [[gnu::weak]] int mallopt(int parameter, int value);

namespace duende::mlock::preload {

namespace {

[[gnu::section(".data.rel.ro")]] constexpr char kFixed[] =
    " does not hold: this C library cannot change that default; fix: glibc 2.18";

constexpr int kArenaMax = -8;  // M_ARENA_MAX of malloc.h, glibc 2.10

/// By name: glibc has the first two since 2.18 only, and before 2.34 all in a library of its own. A
/// program without that library starts no threads.
bool set_default_stack(std::size_t bytes) noexcept {
  enum { kGet, kSet, kResize, kCreate, kCount };
  void* found[kCount] = {};
  find_all_next(
      "pthread_getattr_default_np\0pthread_setattr_default_np\0pthread_attr_setstacksize\0"
      "pthread_create",
      found);
  if (found[kCreate] == nullptr) {
    return true;
  }
  const auto get = reinterpret_cast<int (*)(pthread_attr_t*)>(found[kGet]);
  const auto set = reinterpret_cast<int (*)(const pthread_attr_t*)>(found[kSet]);
  const auto resize = reinterpret_cast<int (*)(pthread_attr_t*, std::size_t)>(found[kResize]);
  pthread_attr_t attributes;
  return get != nullptr && set != nullptr && resize != nullptr && get(&attributes) == 0 &&
         resize(&attributes, bytes) == 0 && set(&attributes) == 0;
}

}  // namespace

bool apply_thread_settings(const Settings& settings) noexcept {
  const bool stack = settings.thread_stack == 0 || set_default_stack(settings.thread_stack);
  // musl has no mallopt, and no more than the one heap.
  const bool arenas =
      settings.arenas == 0 || mallopt == nullptr || mallopt(kArenaMax, settings.arenas) == 1;
  if (!stack || !arenas) {
    Line line;
    line << (stack ? "ARENAS" : "THREAD_STACK") << kFixed;
    report(settings.required ? LogLevel::error : LogLevel::warn, line);
  }
  return stack && arenas;
}

}  // namespace duende::mlock::preload
