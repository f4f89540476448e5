// SPDX-License-Identifier: MIT OR Apache-2.0
#include "said.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <algorithm>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

constexpr std::string_view kPreload = "LD_PRELOAD=";

/// As many empty names as this: one behind it that was locked, two behind one that failed.
constinit unsigned char g_forebear = 0;
constinit char g_preload[512] = {};

/// Without the empty names at its end.
std::string_view trimmed(std::string_view list) noexcept {
  while (detail::ends_with(list, ":")) {
    list.remove_suffix(1);
  }
  return list;
}

constinit unsigned g_said = 0;
constinit unsigned* g_sayings = nullptr;

}  // namespace

void hear_of_forebears(Environment environment) noexcept {
  const std::string_view list = environment.get("LD_PRELOAD").value_or("");
  const std::size_t marks = list.size() - trimmed(list).size();
  g_forebear = static_cast<unsigned char>(marks < 2 ? marks : 2);
}

LogLevel quieter(LogLevel level, bool failed) noexcept {
  const bool said = g_forebear > (failed ? 1 : 0) && level != LogLevel::error;
  return said ? LogLevel::debug : level;
}

void tell_descendants(char** environment, bool failed) noexcept {
  for (; *environment != nullptr; ++environment) {
    if (!detail::starts_with(*environment, kPreload)) {
      continue;
    }
    const std::string_view entry = trimmed(*environment);
    if (entry.size() + 3 <= sizeof g_preload) {
      char* const end = std::copy(entry.begin(), entry.end(), g_preload);
      end[0] = ':';
      end[1] = failed ? ':' : '\0';
      *environment = g_preload;
    }
    return;
  }
}

bool first_to_say(Saying saying) noexcept {
  unsigned* const said = g_sayings != nullptr ? g_sayings : &g_said;
  if (saying != Saying::dropped && g_forebear != 0) {
    return false;  // of a helper: it is no daemon's news
  }
  const auto one = static_cast<unsigned>(saying);
  return (__atomic_fetch_or(said, one, __ATOMIC_RELAXED) & one) == 0;
}

void share_sayings() noexcept {
  if (g_sayings != nullptr) {
    return;
  }
  const long page = system_call(SYS_mmap, nullptr, sizeof *g_sayings, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1L, 0L);
  if (page == -1) {
    return;
  }
  auto* const shared = reinterpret_cast<unsigned*>(page);
  *shared = g_said;
  unsigned* none = nullptr;
  if (!__atomic_compare_exchange_n(&g_sayings, &none, shared, false, __ATOMIC_ACQ_REL,
                                   __ATOMIC_RELAXED)) {
    system_call(SYS_munmap, page, sizeof *g_sayings);  // another thread forks as well
  }
}

}  // namespace duende::mlock::preload
