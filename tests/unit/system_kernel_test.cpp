// SPDX-License-Identifier: MIT OR Apache-2.0
// The real kernel behind the seam: answers that can be checked against /proc.
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>

#include <duende/mlock/detail/procfs.hpp>

#include "preload/capability.hpp"
#include "preload/kernel.hpp"

#include "doctest.hpp"

namespace {

using namespace duende::mlock::preload;

bool status_bit(const std::string& key, Capability which) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, key.size(), key) == 0) {
      const auto set = std::stoull(line.substr(key.size()), nullptr, 16);
      return (set >> static_cast<unsigned>(which) & 1U) != 0;
    }
  }
  FAIL("no " << key);
  return false;
}

TEST_CASE("the capability sets are those of /proc/self/status") {
  for (const Capability which :
       {Capability::ipc_lock, Capability::sys_nice, Capability::sys_resource}) {
    const CapabilityState state = capability(which);
    CHECK(state.effective == status_bit("CapEff:", which));
    CHECK(effective(which) == state.effective);
    CHECK(state.permitted == status_bit("CapPrm:", which));
    CHECK(state.bounding == status_bit("CapBnd:", which));
  }
}

TEST_CASE("a page is what sysconf says") {
  CHECK(page_size() == static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
}

TEST_CASE("calls that fail answer with the errno") {
  CHECK(kSystemKernel.mlockall(0) == EINVAL);
  CHECK(kSystemKernel.munlock(UINTPTR_MAX - page_size() + 1, 2 * page_size()) != 0);
  CHECK(kSystemKernel.populate_read(page_size() / 2, page_size()) == EINVAL);
  CHECK(kSystemKernel.open_file("/nonexistent") == -1);
  char byte;
  CHECK(kSystemKernel.read_file(-1, &byte, 1) == 0);
  kSystemKernel.close_file(-1);
}

TEST_CASE("a page is mapped until it is not") {
  const std::size_t page = page_size();
  void* const space = ::mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(space != MAP_FAILED);
  const auto address = reinterpret_cast<std::uintptr_t>(space);
  CHECK(kSystemKernel.is_mapped(address));
  CHECK(kSystemKernel.populate_read(address, page) == 0);
  CHECK(kSystemKernel.set_apart(address) == 0);
  CHECK(kSystemKernel.munlock(address, page) == 0);
  CHECK(::munmap(space, page) == 0);
  CHECK_FALSE(kSystemKernel.is_mapped(address));
}

TEST_CASE("the scheduling is the thread's own") {
  CHECK(kSystemKernel.scheduling(0).policy == ::sched_getscheduler(0));
  CHECK(kSystemKernel.set_scheduling(0, {.policy = 12345, .priority = 0}) == EINVAL);
}

TEST_CASE("a file is read to its end") {
  const int file = kSystemKernel.open_file("/proc/self/status");
  REQUIRE(file >= 0);
  char buffer[64];
  std::size_t total = 0;
  while (const std::size_t count = kSystemKernel.read_file(file, buffer, sizeof buffer)) {
    total += count;
  }
  kSystemKernel.close_file(file);
  CHECK(total > sizeof buffer);
}

TEST_CASE("the limit is the process's own") {
  rlimit ours;
  REQUIRE(::getrlimit(RLIMIT_MEMLOCK, &ours) == 0);
  rlimit limit;
  REQUIRE(kSystemKernel.get_memlock_limit(limit) == 0);
  CHECK(limit.rlim_cur == ours.rlim_cur);
  CHECK(limit.rlim_max == ours.rlim_max);
  CHECK(kSystemKernel.set_memlock_limit({.rlim_cur = 2, .rlim_max = 1}) == EINVAL);
}

TEST_CASE("asking about exemption leaves no mapping and no lock behind") {
  const auto mappings = [] {
    std::ifstream maps("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(maps, line);) {
      ++count;
    }
    return count;
  };
  (void)mappings();  // allocates
  const int before = mappings();
  (void)kSystemKernel.may_lock_beyond(0);
  (void)kSystemKernel.may_lock_beyond(page_size() * 100);
  CHECK(kSystemKernel.may_lock_beyond(RLIM_INFINITY));
  CHECK(mappings() == before);
  CHECK(duende::mlock::detail::read_memory_use(kSystemKernel).value().locked == 0);
}

}  // namespace
