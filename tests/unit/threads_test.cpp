// SPDX-License-Identifier: MIT OR Apache-2.0
// THREAD_STACK in every kind of C library, by what it has of pthread functions.
#include "preload/threads.hpp"

#include <pthread.h>
#include <cstddef>
#include <map>
#include <span>
#include <string_view>

#include "doctest.hpp"
#include "preload/symbols.hpp"

namespace {

using namespace duende::mlock::preload;

std::map<std::string_view, void*> g_library;
std::size_t g_stack = 0;

int get_default(pthread_attr_t*) { return 0; }
int set_default(const pthread_attr_t*) { return 0; }
int resize(pthread_attr_t*, std::size_t bytes) {
  g_stack = bytes;
  return 0;
}

template <class Function>
void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

/// What the settings answer in a C library with these functions.
bool applied(const std::map<std::string_view, void*>& library) {
  g_library = library;
  g_stack = 0;
  Settings settings;
  settings.thread_stack = 65536;
  settings.log = LogLevel::off;
  return apply_thread_settings(settings);
}

TEST_CASE("the default stack is set where there are the functions for it") {
  CHECK(applied({{"pthread_create", address(pthread_create)},
                 {"pthread_getattr_default_np", address(get_default)},
                 {"pthread_setattr_default_np", address(set_default)},
                 {"pthread_attr_setstacksize", address(resize)}}));
  CHECK(g_stack == 65536);
}

TEST_CASE("a program of before glibc 2.34 without its library of threads has no thread") {
  CHECK(applied({}));
  CHECK(applied({{"pthread_attr_setstacksize", address(resize)}}));
  CHECK(g_stack == 0);
}

TEST_CASE("threads in a C library that cannot change the default") {
  CHECK_FALSE(applied({{"pthread_create", address(pthread_create)},
                       {"pthread_attr_setstacksize", address(resize)}}));
  CHECK(g_stack == 0);
}

}  // namespace

namespace duende::mlock::preload {

// In place of the only definition, which looks at what is loaded.
void find_names(const char* names, std::span<void*> found) noexcept {
  for (void*& function : found) {
    const std::string_view name(names);
    const auto known = g_library.find(name);
    function = known == g_library.end() ? nullptr : known->second;
    names += name.size() + 1;
  }
}

}  // namespace duende::mlock::preload
