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

}  // namespace

FakeKernel::FakeKernel() noexcept {
  REQUIRE(g_current == nullptr);
  g_current = this;
  table_.mlockall = [](int flags) noexcept {
    record(mlockall_call(flags));
    return next_of(g_current->mlockall_errors);
  };
  table_.munlockall = []() noexcept {
    record("munlockall()");
    return g_current->munlockall_error;
  };
  table_.open_file = open_file;
  table_.read_file = read_file;
  table_.close_file = [](int file) noexcept { CHECK(g_current->open_files.erase(file) == 1); };
}

FakeKernel::~FakeKernel() {
  CHECK(open_files.empty());
  g_current = nullptr;
}

FakeKernel::operator const preload::Kernel&() const noexcept { return table_; }

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

using test::g_current;
using test::next_of;
using test::range;
using test::record;

int Kernel::munlock(std::uintptr_t begin, std::size_t size) const noexcept {
  record("munlock(", range(begin, size), ")");
  return g_current->munlock_error;
}

int Kernel::lock(std::uintptr_t begin, std::size_t size, bool onfault) const noexcept {
  record(onfault ? "mlock2(" : "mlock(", range(begin, size), ")");
  return 0;
}

int Kernel::advise(std::uintptr_t begin, std::size_t size, int advice) const noexcept {
  record("madvise(", range(begin, size), ", ", advice, ")");
  const bool known = !g_current->unknown_advice.contains(advice);
  constexpr int kCold = 20;
  if (!known || size == 0) {
    return known ? 0 : EINVAL;
  }
  return advice != kCold ? next_of(g_current->advise_errors) : g_current->locked ? EINVAL : 0;
}

int Kernel::populate_read(std::uintptr_t begin, std::size_t size) const noexcept {
  record("populate_read(", range(begin, size), ")");
  return next_of(g_current->populate_errors);
}

int Kernel::ask_mapped(std::uintptr_t page) const noexcept {
  return g_current->ask_mapped_error != 0                            ? g_current->ask_mapped_error
         : g_current->all_mapped || g_current->mapped.contains(page) ? 0
                                                                     : ENOMEM;
}

bool Kernel::touch(std::uintptr_t page) const noexcept {
  record("touch(", range(page), ")");
  return !g_current->unreadable.contains(page);
}

std::uintptr_t Kernel::top_of_stack() const noexcept { return g_current->top_of_stack; }

std::size_t Kernel::read_at(int file, void* buffer, std::size_t size,
                            std::uint64_t at) const noexcept {
  REQUIRE(g_current->open_files.contains(file));
  const std::string& contents = g_current->open_files.at(file).file->contents;
  return at < contents.size() ? contents.copy(static_cast<char*>(buffer), size, at) : 0;
}

Answer Kernel::swappable(int) const noexcept { return Answer::unknown; }

Answer Kernel::swappable_path(const char* path) const noexcept {
  const auto found = g_current->swappable_paths.find(path);
  return found == g_current->swappable_paths.end() ? Answer::unknown : found->second;
}

bool Kernel::data_files_mapped() const noexcept { return g_current->data_files_mapped; }

Answer Kernel::locks_new_mappings() const noexcept { return g_current->locks_new_mappings; }

unsigned long long Kernel::load_count() const noexcept { return g_current->code.size(); }

void Kernel::visit_code(VisitSegment* visit, void* context) const noexcept {
  for (const auto& [begin, size] : g_current->code) {
    visit(context, begin, size, g_current->writable_code.contains(begin));
  }
}

std::size_t Kernel::total_memory() const noexcept { return g_current->total_memory; }

int Kernel::get_memlock_limit(rlimit& limit) const noexcept {
  record("getrlimit()");
  limit = g_current->get_limit_error == 0 ? g_current->memlock : rlimit{1, 2};
  return g_current->get_limit_error;
}

int Kernel::set_memlock_limit(const rlimit& limit) const noexcept {
  record("setrlimit(", test::bytes(limit.rlim_cur), ", ", test::bytes(limit.rlim_max), ")");
  const int error = next_of(g_current->set_limit_errors);
  if (error == 0) {
    g_current->memlock = limit;
  }
  return error;
}

Answer Kernel::may_lock_beyond(rlim_t limit) const noexcept {
  record("may_lock_beyond(", test::bytes(limit), ")");
  return g_current->exempt;
}

int Kernel::set_io_flusher(bool on) const noexcept {
  record("set_io_flusher(", on, ")");
  return next_of(g_current->io_flusher_errors);
}

int Kernel::set_scheduling(long /*thread*/, Scheduling wanted) const noexcept {
  record("set_scheduling(", wanted.policy, ", ", wanted.priority, ")");
  const int error = next_of(g_current->scheduling_errors);
  if (error == 0 && !g_current->ignores_scheduling) {
    g_current->scheduling = wanted;
  }
  return error;
}

Scheduling Kernel::scheduling(long /*thread*/) const noexcept { return g_current->scheduling; }

int mlockall_with_care(int) noexcept { return ENOSYS; }
int munlockall_with_care() noexcept { return ENOSYS; }

CapabilityState capability(Capability which) noexcept {
  const test::FakeKernel* const kernel = test::FakeKernel::current();
  if (kernel == nullptr) {
    return {};
  }
  const auto found = kernel->capabilities.find(which);
  return found == kernel->capabilities.end() ? CapabilityState{} : found->second;
}

bool effective(Capability which) noexcept { return capability(which).effective; }

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

extern "C" long __real_sysconf(int name);
extern "C" long __wrap_sysconf(int name) {
  const auto* const kernel = duende::mlock::test::FakeKernel::current();
  return kernel == nullptr || name != _SC_THREAD_STACK_MIN ? __real_sysconf(name)
                                                           : kernel->least_thread_stack;
}
