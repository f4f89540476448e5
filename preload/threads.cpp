// SPDX-License-Identifier: MIT OR Apache-2.0
#include "threads.hpp"

#include <pthread.h>

#include "symbols.hpp"

extern "C" [[gnu::weak]] int mallopt(int parameter, int value);

namespace duende::mlock::preload {

namespace {

constexpr int kArenaMax = -8;  // M_ARENA_MAX of malloc.h, glibc 2.10

template <class Function>
Function* find(std::string_view name) noexcept {
  return reinterpret_cast<Function*>(find_next(name));
}

/// By name: glibc has the pair since 2.18 only, and before 2.34 in a library of its own.
bool set_default_stack(std::size_t bytes) noexcept {
  const auto get = find<int(pthread_attr_t*)>("pthread_getattr_default_np");
  const auto set = find<int(const pthread_attr_t*)>("pthread_setattr_default_np");
  const auto resize = find<int(pthread_attr_t*, std::size_t)>("pthread_attr_setstacksize");
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
    line << (stack ? "ARENAS" : "THREAD_STACK")
         << " does not hold: this C library cannot change that default; fix: glibc 2.18";
    report(settings.required ? LogLevel::error : LogLevel::warn, line);
  }
  return stack && arenas;
}

}  // namespace duende::mlock::preload
