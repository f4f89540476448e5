// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fake_kernel.hpp"

#include <sys/syscall.h>
#include <algorithm>
#include <sstream>

#include "doctest.hpp"

namespace duende::mlock::test {

namespace {

FakeKernel* g_current = nullptr;

template <class... Parts>
void record(const Parts&... parts) {
  std::ostringstream call;
  (call << ... << parts);
  g_current->calls.push_back(call.str());
}

int next_of(std::deque<int>& errors) {
  if (errors.empty()) {
    return 0;
  }
  const int error = errors.front();
  errors.pop_front();
  return error;
}

std::string bytes(rlim_t limit) {
  return limit == RLIM_INFINITY ? "infinity" : std::to_string(limit);
}

std::string range(std::uintptr_t begin, std::size_t size = 0) {
  std::ostringstream text;
  text << std::hex << begin;
  if (size != 0) {
    text << '+' << size;
  }
  return text.str();
}

int open_file(const char* path) noexcept {
  const auto found = g_current->files.find(std::string_view(path));
  if (found == g_current->files.end()) {
    errno = g_current->open_error;
    return -1;
  }
  int file = 100;
  while (g_current->open_files.contains(file)) {
    ++file;
  }
  g_current->open_files[file] = {.file = &found->second};
  return file;
}

std::size_t read_file(int file, char* buffer, std::size_t size) noexcept {
  REQUIRE(g_current->open_files.contains(file));
  auto& [source, position] = g_current->open_files.at(file);
  const std::size_t end = std::min(source->contents.size(), source->vanishes_after);
  const std::size_t count = std::min({size, source->chunk, end - std::min(position, end)});
  source->contents.copy(buffer, count, position);
  position += count;
  return count;
}

int set_memlock_limit(const rlimit& limit) noexcept {
  record("setrlimit(", bytes(limit.rlim_cur), ", ", bytes(limit.rlim_max), ")");
  const int error = next_of(g_current->set_limit_errors);
  if (error == 0) {
    g_current->memlock = limit;
  }
  return error;
}

int set_scheduling(long /*thread*/, preload::Scheduling wanted) noexcept {
  record("set_scheduling(", wanted.policy, ", ", wanted.priority, ")");
  const int error = next_of(g_current->scheduling_errors);
  if (error == 0 && !g_current->ignores_scheduling) {
    g_current->scheduling = wanted;
  }
  return error;
}

preload::Kernel make_table() noexcept {
  preload::Kernel table{};
  table.mlockall = [](int flags) noexcept {
    record(mlockall_call(flags));
    return next_of(g_current->mlockall_errors);
  };
  table.munlockall = []() noexcept {
    record("munlockall()");
    return g_current->munlockall_error;
  };
  table.open_file = open_file;
  table.read_file = read_file;
  table.close_file = [](int file) noexcept { CHECK(g_current->open_files.erase(file) == 1); };
  table.munlock = [](std::uintptr_t begin, std::size_t size) noexcept {
    record("munlock(", range(begin, size), ")");
    return g_current->munlock_error;
  };
  table.populate_read = [](std::uintptr_t begin, std::size_t size) noexcept {
    record("populate_read(", range(begin, size), ")");
    return next_of(g_current->populate_errors);
  };
  table.set_apart = [](std::uintptr_t page) noexcept {
    record("set_apart(", range(page), ")");
    return 0;
  };
  table.is_mapped = [](std::uintptr_t page) noexcept { return g_current->mapped.contains(page); };
  table.set_io_flusher = [](bool on) noexcept {
    record("set_io_flusher(", on, ")");
    return next_of(g_current->io_flusher_errors);
  };
  table.set_scheduling = set_scheduling;
  table.scheduling = [](long) noexcept { return g_current->scheduling; };
  table.get_memlock_limit = [](rlimit& limit) noexcept {
    record("getrlimit()");
    limit = g_current->get_limit_error == 0 ? g_current->memlock : rlimit{1, 2};
    return g_current->get_limit_error;
  };
  table.set_memlock_limit = set_memlock_limit;
  table.may_lock_beyond = [](rlim_t limit) noexcept {
    record("may_lock_beyond(", bytes(limit), ")");
    return g_current->exempt;
  };
  return table;
}

const preload::Kernel kTable = make_table();

}  // namespace

FakeKernel::FakeKernel() noexcept {
  REQUIRE(g_current == nullptr);
  g_current = this;
}

FakeKernel::~FakeKernel() {
  CHECK(open_files.empty());
  g_current = nullptr;
}

FakeKernel::operator const preload::Kernel&() const noexcept { return kTable; }

FakeKernel* FakeKernel::current() noexcept { return g_current; }

void FakeKernel::set_memory_use(std::size_t size_kib, std::size_t locked_kib,
                                std::size_t swapped_kib) {
  files["/proc/self/status"].contents = "Name:\tdaemon\nVmPeak:\t  999999 kB\nVmSize:\t" +
                                        std::to_string(size_kib) + " kB\nVmLck:\t" +
                                        std::to_string(locked_kib) + " kB\nVmSwap:\t" +
                                        std::to_string(swapped_kib) + " kB\nSeccomp:\t0\n";
}

std::string mlockall_call(int flags) {
  std::string names;
  const auto append = [&](int flag, const char* name) {
    if ((flags & flag) != 0) {
      names += (names.empty() ? "" : "|") + std::string(name);
    }
  };
  append(detail::kMclCurrent, "CURRENT");
  append(detail::kMclFuture, "FUTURE");
  append(detail::kMclOnfault, "ONFAULT");
  return "mlockall(" + names + ")";
}

}  // namespace duende::mlock::test

namespace duende::mlock::preload {

CapabilityState capability(Capability which) noexcept {
  const test::FakeKernel* const kernel = test::FakeKernel::current();
  if (kernel == nullptr) {
    return {};
  }
  const auto found = kernel->capabilities.find(which);
  return found == kernel->capabilities.end() ? CapabilityState{} : found->second;
}

bool effective(Capability which, int /*process*/) noexcept { return capability(which).effective; }

}  // namespace duende::mlock::preload

// The linker sends calls of syscall(2) here: the mere existence of a file is asked by number, and
// what a filter answers.
extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, long first, long second, long third, long fourth,
                               long fifth, long sixth) {
  const auto* const kernel = duende::mlock::test::FakeKernel::current();
  const bool probed = first == -1 || !(kernel != nullptr && kernel->lets_other_policies_through);
  if (kernel != nullptr && probed && kernel->filter_answers.contains(number)) {
    errno = kernel->filter_answers.at(number);
    return -1;
  }
  if (kernel == nullptr || number != SYS_faccessat) {
    return __real_syscall(number, first, second, third, fourth, fifth, sixth);
  }
  const std::string_view path = reinterpret_cast<const char*>(second);
  errno = ENOENT;
  return kernel->files.contains(path) ? 0 : -1;
}
