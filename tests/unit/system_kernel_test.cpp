// SPDX-License-Identifier: MIT OR Apache-2.0
// The real kernel behind the seam: answers that can be checked against /proc.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
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

/// What `body` answers in a child, whose limits and filters end with it; -1 after a signal, which
/// comes when it takes ten seconds.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// From here on that system call answers EPERM. False where there are no filters.
bool refuse(unsigned number) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
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
  CHECK(kSystemKernel.ask_mapped(address) == 0);
  // No length asks whether the kernel knows it.
  CHECK(kSystemKernel.populate_read(address, page) == kSystemKernel.populate_read(address, 0));
  CHECK(kSystemKernel.munlock(address, page) == 0);
  CHECK(::munmap(space, page) == 0);
  CHECK(kSystemKernel.ask_mapped(address) == ENOMEM);
}

TEST_CASE("what goes to swap is told by the file system") {
  const int memory = ::memfd_create("test", MFD_CLOEXEC);
  REQUIRE(memory >= 0);
  CHECK(kSystemKernel.swappable(memory) == Answer::yes);
  const int file = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  CHECK(kSystemKernel.swappable(file) == Answer::no);
  CHECK(kSystemKernel.swappable(-1) == Answer::unknown);
  CHECK(kSystemKernel.swappable_path("/proc") == Answer::no);
  CHECK(kSystemKernel.swappable_path("/nonexistent") == Answer::unknown);
  ::close(file);
  ::close(memory);
}

TEST_CASE("new mappings are not locked before they are asked for") {
  CHECK(kSystemKernel.locks_new_mappings() == Answer::no);
}

TEST_CASE("the code of this program is among the code that is visited") {
  struct Search {
    std::uintptr_t wanted;
    bool found;
  } search = {reinterpret_cast<std::uintptr_t>(&page_size), false};
  kSystemKernel.visit_code(
      [](void* context, std::uintptr_t begin, std::size_t size, bool writable) noexcept {
        auto& [wanted, found] = *static_cast<Search*>(context);
        CHECK(begin % page_size() == 0);
        CHECK(size % page_size() == 0);
        found = found || (!writable && wanted >= begin && wanted < begin + size);
      },
      &search);
  CHECK(search.found);
  CHECK(kSystemKernel.load_count() >= 1);
}

TEST_CASE("a page is touched, or it is not there, without a signal") {
  const std::size_t page = page_size();
  auto* const space =
      static_cast<char*>(::mmap(nullptr, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(space != MAP_FAILED);
  REQUIRE(::mprotect(space + page, page, PROT_NONE) == 0);
  const auto address = reinterpret_cast<std::uintptr_t>(space);
  CHECK(kSystemKernel.touch(address));
  CHECK_FALSE(kSystemKernel.touch(address + page));
  CHECK(::munmap(space, 2 * page) == 0);
  CHECK_FALSE(kSystemKernel.touch(address));
}

TEST_CASE("the top of the stack is above this frame, and mapped") {
  const std::uintptr_t top = kSystemKernel.top_of_stack();
  CHECK(top > reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
  CHECK(kSystemKernel.ask_mapped(top & ~(page_size() - 1)) == 0);
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

TEST_CASE("whether the limit binds: what the capability says, where it counts") {
  for (const rlim_t limit : {rlim_t{0}, rlim_t{64} << 10}) {
    CAPTURE(limit);
    const auto ask = [&] {
      const rlimit bound = {limit, limit};
      ::setrlimit(RLIMIT_MEMLOCK, &bound);
      return static_cast<int>(kSystemKernel.may_lock_beyond(limit));
    };
    const auto without_capability = [&] {
      return ::setresuid(12345, 12345, 12345) == 0 ? ask() : 255;
    };
    CHECK(in_child(ask) != static_cast<int>(Answer::unknown));
    if (effective(Capability::ipc_lock)) {
      // In a user namespace of its own the capability does not count.
      MESSAGE("with CAP_IPC_LOCK: " << in_child(ask));
      CHECK(in_child(without_capability) == static_cast<int>(Answer::no));
    } else {
      CHECK(in_child(ask) == static_cast<int>(Answer::no));
    }
  }
}

/// The answer about a limit of 1 GiB after `prepare`, or 255 where that cannot be had here.
template <class Prepare>
int answer_after(Prepare prepare) {
  return in_child([&] {
    return prepare() ? static_cast<int>(kSystemKernel.may_lock_beyond(rlim_t{1} << 30)) : 255;
  });
}

TEST_CASE("where the kernel cannot be asked, nobody knows") {
  const int little_space = answer_after([] {
    const rlimit bound = {rlim_t{64} << 20, rlim_t{64} << 20};
    return ::setrlimit(RLIMIT_AS, &bound) == 0 &&
           ::mmap(nullptr, std::size_t{1} << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
               MAP_FAILED;
  });
  const int no_advice = answer_after([] { return refuse(SYS_madvise); });
  for (const int answer : {little_space, no_advice}) {
    if (answer == 255) {
      MESSAGE("an emulator that knows no such limit or filter");
    } else {
      CHECK(answer == static_cast<int>(Answer::unknown));
    }
  }
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
  CHECK(kSystemKernel.may_lock_beyond(RLIM_INFINITY) == Answer::yes);
  CHECK(mappings() == before);
  CHECK(duende::mlock::detail::read_memory_use(kSystemKernel).value().locked == 0);
}

}  // namespace
