// SPDX-License-Identifier: MIT OR Apache-2.0
#include "kernel.hpp"

#include <link.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <ctime>

#include "files.hpp"
#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

// By number: nothing stands in between, no call is a cancellation point or missing from a C
// library, and none needs a relocation in every process. Only mlockall(2) goes through libc, where
// a sanitizer replaces it on purpose.

int result(long returned) noexcept { return returned == 0 ? 0 : errno; }

constexpr long kMlockOnfault = 1;  // MLOCK_ONFAULT of mlock2(2), Linux 4.4

/// By statfs(2). Memory, and what is kept in it, is tmpfs throughout: memfd_create(2), shared
/// anonymous memory, System V's.
Answer swappable(int error, const struct statfs& system) noexcept {
  constexpr auto kTmpfs = 0x01021994;  // linux/magic.h
  return error != 0 ? Answer::unknown : system.f_type == kTmpfs ? Answer::yes : Answer::no;
}

struct SegmentVisit {
  VisitSegment* visit;
  void* context;
};

int visit_object(dl_phdr_info* object, std::size_t, void* opaque) noexcept {
  const auto& [visit, context] = *static_cast<const SegmentVisit*>(opaque);
  // Not the vDSO, whose pages are the kernel's.
  if (object->dlpi_addr == ::getauxval(AT_SYSINFO_EHDR)) {
    return 0;
  }
  const std::size_t page = page_size();
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool writable = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) {
      continue;
    }
    const std::uintptr_t from = object->dlpi_addr + segment.p_vaddr;
    const bool writes = (segment.p_flags & PF_W) != 0;
    if (writes || writable || (from & ~(page - 1)) != end) {
      if (end != 0) {
        visit(context, begin, end - begin, writable);
      }
      begin = from & ~(page - 1);
      writable = writes;
    }
    end = (from + segment.p_memsz + page - 1) & ~(page - 1);
  }
  visit(context, begin, end - begin, writable);
  return 0;
}

}  // namespace

int Kernel::munlock(std::uintptr_t begin, std::size_t size) const noexcept {
  return result(system_call(SYS_munlock, begin, size));
}

int Kernel::lock(std::uintptr_t begin, std::size_t size, bool onfault) const noexcept {
  return result(onfault ? system_call(SYS_mlock2, begin, size, kMlockOnfault)
                        : system_call(SYS_mlock, begin, size));
}

int Kernel::advise(std::uintptr_t begin, std::size_t size, int advice) const noexcept {
  return result(system_call(SYS_madvise, begin, size, advice));
}

int Kernel::populate_read(std::uintptr_t begin, std::size_t size) const noexcept {
  constexpr int kMadvPopulateRead = 22;  // Linux 5.14; newer than glibc 2.17's headers
  return advise(begin, size, kMadvPopulateRead);
}

/// By mincore(2): madvise(2) succeeds for any address under gVisor and QEMU's user mode, and of
/// msync(2) valgrind says that it is told of memory that nobody has written.
int Kernel::ask_mapped(std::uintptr_t page) const noexcept {
  unsigned char resident;
  return result(system_call(SYS_mincore, page, page_size(), &resident));
}

/// The program's name is the last thing on the stack.
std::uintptr_t Kernel::top_of_stack() const noexcept { return ::getauxval(AT_EXECFN); }

std::size_t Kernel::read_at(int file, void* buffer, std::size_t size,
                            std::uint64_t at) const noexcept {
  const long count = system_call(SYS_pread64, file, buffer, size, at);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

Answer Kernel::swappable(int file) const noexcept {
  struct statfs system;
  return preload::swappable(result(system_call(SYS_fstatfs, file, &system)), system);
}

Answer Kernel::swappable_path(const char* path) const noexcept {
  struct statfs system;
  return preload::swappable(result(system_call(SYS_statfs, path, &system)), system);
}

std::size_t Kernel::total_memory() const noexcept {
  struct sysinfo info;
  return system_call(SYS_sysinfo, &info) == 0 ? info.totalram * info.mem_unit : 0;
}

bool Kernel::data_files_mapped() const noexcept { return preload::data_files_mapped(); }

Answer Kernel::locks_new_mappings() const noexcept {
  const std::size_t page = page_size();
  void* const space =
      ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) {
    return Answer::unknown;
  }
  const int error = advise(reinterpret_cast<std::uintptr_t>(space), page, MADV_DONTNEED);
  ::munmap(space, page);
  return error == 0 ? Answer::no : error == EINVAL ? Answer::yes : Answer::unknown;
}

unsigned long long Kernel::load_count() const noexcept {
  unsigned long long count = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* result) noexcept {
        *static_cast<unsigned long long*>(result) = object->dlpi_adds;
        return 1;
      },
      &count);
  return count;
}

void Kernel::visit_code(VisitSegment* visit, void* context) const noexcept {
  SegmentVisit segments = {visit, context};
  ::dl_iterate_phdr(visit_object, &segments);
}

/// By having the kernel read it: failing is an error and no signal.
bool Kernel::touch(std::uintptr_t address) const noexcept {
  constexpr int kNeverThere = 1;  // a word that differs, or the timeout, ends the wait at once
  const timespec at_once = {};
  return system_call(SYS_futex, address, FUTEX_WAIT_PRIVATE, kNeverThere, &at_once) != 0 &&
         (errno == EAGAIN || errno == ETIMEDOUT);
}

// The 64-bit structure of prlimit64(2), Linux 2.6.36, is rlimit wherever `long` has 64 bits.
static_assert(sizeof(rlim_t) == 8);

int Kernel::get_memlock_limit(rlimit& limit) const noexcept {
  return result(system_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limit));
}

int Kernel::set_memlock_limit(const rlimit& limit) const noexcept {
  return result(system_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &limit, nullptr));
}

/// Asks by trying, on address space that is reserved for a moment. Reading the capability sets
/// would not tell: in a user namespace, or where an LSM denies it, an effective CAP_IPC_LOCK does
/// not count.
Answer Kernel::may_lock_beyond(rlim_t limit) const noexcept {
  const std::size_t page = page_size();
  // The stack begins where address space ends: no process has room for more than such a limit.
  if (limit >= ::getauxval(AT_EXECFN) / 2) {
    return Answer::yes;
  }
  const std::size_t size = (static_cast<std::size_t>(limit) / page + 1) * page;
  void* const space = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) {
    return Answer::unknown;  // RLIMIT_AS, the number of mappings, a filter
  }
  // What may not be read is locked and then, as populating it fails, refused with ENOMEM, which is
  // the answer to too much as well. Whether it is locked tells advice that locked memory refuses.
  const int error = result(system_call(SYS_mlock, space, size));
  const int advice = result(system_call(SYS_madvise, space, size, MADV_DONTNEED));
  ::munmap(space, size);
  if (error == 0 || (error == ENOMEM && advice == EINVAL)) {
    return Answer::yes;
  }
  return advice == 0 ? Answer::no : Answer::unknown;
}

int Kernel::set_io_flusher(bool on) const noexcept {
  constexpr int kPrSetIoFlusher = 57;  // glibc older than 2.36 lacks the name
  return result(system_call(SYS_prctl, kPrSetIoFlusher, on ? 1L : 0L, 0L, 0L, 0L));
}

int Kernel::set_scheduling(long thread, Scheduling wanted) const noexcept {
  const sched_param parameter = {.sched_priority = wanted.priority};
  return result(system_call(SYS_sched_setscheduler, thread, wanted.policy, &parameter));
}

Scheduling Kernel::scheduling(long thread) const noexcept {
  sched_param parameter = {};
  system_call(SYS_sched_getparam, thread, &parameter);
  return {.policy = static_cast<int>(system_call(SYS_sched_getscheduler, thread)),
          .priority = parameter.sched_priority};
}

int mlockall_with_care(int flags) noexcept {
  return may_call(SYS_mlockall) ? detail::kSystemKernel.mlockall(flags) : ENOSYS;
}

int munlockall_with_care() noexcept {
  return may_call(SYS_munlockall) ? detail::kSystemKernel.munlockall() : ENOSYS;
}

}  // namespace duende::mlock::preload
