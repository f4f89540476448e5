// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions found among what is really loaded, with either kind of hash table.
#include "preload/symbols.hpp"

#include <dlfcn.h>
#include <cstddef>
#include <string>

#include "doctest.hpp"

extern "C" int old_hash_first();
extern "C" int old_hash_second();

namespace {

using namespace duende::mlock::preload;

TEST_CASE("many names at once, as dlsym finds them") {
  constexpr std::size_t kCount = 12;
  constexpr const char* kNames[kCount] = {
      "madvise", "mmap",     "no_such_function", "prctl",  "prlimit",   "setenv",
      "seteuid", "setreuid", "setrlimit",        "setsid", "setresuid", "capset",
  };
  std::string names;
  for (const char* const name : kNames) {
    names.append(name) += '\0';
  }
  void* found[kCount] = {};
  find_all_next(names.c_str(), found);
  for (std::size_t i = 0; i < kCount; ++i) {
    CAPTURE(kNames[i]);
    CHECK(found[i] == ::dlsym(RTLD_NEXT, kNames[i]));
    CHECK((found[i] == nullptr) == (i == 2));
    CHECK(find_next(kNames[i]) == found[i]);
  }
}

TEST_CASE("a library with the old hash table alone is not passed over") {
  CHECK(find_next("old_hash_first") == reinterpret_cast<void*>(old_hash_first));
  CHECK(find_next("old_hash_second") == reinterpret_cast<void*>(old_hash_second));
  CHECK(find_next("old_hash_third") == nullptr);
  // It comes before libc.
  const auto setuid_found = reinterpret_cast<int (*)(unsigned)>(find_next("setuid"));
  REQUIRE(find_next("setuid") != nullptr);
  CHECK(setuid_found(12345) == 12345);
}

TEST_CASE("what was found stays") {
  int mine = 0;
  void* found[2] = {&mine, nullptr};
  find_all_next("setsid\0setenv", found);
  CHECK(found[0] == &mine);
  CHECK(found[1] != nullptr);
}

}  // namespace
