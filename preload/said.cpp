// SPDX-License-Identifier: MIT OR Apache-2.0
#include "said.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "capability.hpp"
#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

int parent() noexcept { return static_cast<int>(system_call(SYS_getppid)); }

/// Whether the parent is locked; unknown is no.
bool parent_is_locked(const Kernel& kernel) noexcept {
  detail::Text<31> status;
  status << "/proc/" << parent() << "/status";
  const auto memory = detail::read_memory_use(kernel, status.c_str());
  return memory && memory->locked != 0;
}

constinit unsigned g_said = 0;
constinit unsigned* g_sayings = nullptr;

}  // namespace

LogLevel quieter(const Kernel& kernel, LogLevel level) noexcept {
  const bool said = level != LogLevel::error && reported(level) && parent_is_locked(kernel);
  return said ? LogLevel::debug : level;
}

LogLevel quieter(const Kernel& kernel, LogLevel level, const Outcome& outcome) noexcept {
  const bool without_reserve = outcome.limit.infinite() && !outcome.onfault_refused;
  rlimit limit;
  const bool alike =
      outcome.failure == Failure::none && !outcome.plan.empty() &&
      (without_reserve ||
       (system_call(SYS_prlimit64, parent(), RLIMIT_MEMLOCK, nullptr, &limit) == 0 &&
        limit.rlim_cur == outcome.limit.soft &&
        effective(Capability::ipc_lock, parent()) == effective(Capability::ipc_lock)));
  return alike ? quieter(kernel, level) : level;
}

bool first_to_say(Saying saying) noexcept {
  unsigned* const said = g_sayings != nullptr ? g_sayings : &g_said;
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
