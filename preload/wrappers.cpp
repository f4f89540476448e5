// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wrappers.hpp"

#include <dlfcn.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "advice.hpp"
#include "code.hpp"
#include "files.hpp"
#include "filter.hpp"
#include "fork.hpp"
#include "privileges.hpp"
#include "symbols.hpp"

// glibc and musl export it without declaring it.
extern "C" int capset(cap_user_header_t header, cap_user_data_t data) noexcept;

namespace duende::mlock::preload {

namespace {

#define WRAPPED_FUNCTIONS(wrapped)                                                       \
  wrapped(setuid) wrapped(seteuid) wrapped(setreuid) wrapped(setresuid) wrapped(capset)  \
      wrapped(unshare) wrapped(setns) wrapped(prctl) wrapped(syscall) wrapped(setrlimit) \
          wrapped(prlimit) wrapped(madvise) wrapped(msync) wrapped(mmap) wrapped(setsid) \
              wrapped(daemon) wrapped(dlopen) wrapped(dlsym)

#define WRAPPED_NUMBER(name) k_##name,
#define WRAPPED_NAME(name) #name "\0"
enum Wrapped : unsigned char { WRAPPED_FUNCTIONS(WRAPPED_NUMBER) k_count };
constinit void* g_real[k_count] = {};

[[gnu::section(".data.rel.ro")]] constexpr char kNames[] = WRAPPED_FUNCTIONS(WRAPPED_NAME);

#undef WRAPPED_NAME
#undef WRAPPED_NUMBER
#undef WRAPPED_FUNCTIONS

void* find_real(Wrapped which) noexcept {
  if (g_real[which] == nullptr) {
    find_wrapped_functions();  // another library's constructor came before this one's
  }
  return g_real[which];
}

}  // namespace

void find_wrapped_functions() noexcept { find_all_next(kNames, g_real); }

}  // namespace duende::mlock::preload

using namespace duende::mlock::preload;
namespace detail = duende::mlock::detail;

#ifdef __clang__  // which has no -fwhole-program to be told that they are not for the program alone
#define DUENDE_MLOCK_EXPORT extern "C" [[gnu::visibility("default")]]
#else
#define DUENDE_MLOCK_EXPORT extern "C" [[gnu::visibility("default"), gnu::externally_visible]]
#endif
#define REAL(name) reinterpret_cast<decltype(&::name)>(find_real(k_##name))

// What carries MCL_FUTURE. libc's setuid family takes it from all threads.

DUENDE_MLOCK_EXPORT int setuid(uid_t uid) noexcept {
  return followed(Change::process, [=] { return REAL(setuid)(uid); });
}

DUENDE_MLOCK_EXPORT int seteuid(uid_t euid) noexcept {
  return followed(Change::process, [=] { return REAL(seteuid)(euid); });
}

DUENDE_MLOCK_EXPORT int setreuid(uid_t ruid, uid_t euid) noexcept {
  return followed(Change::process, [=] { return REAL(setreuid)(ruid, euid); });
}

DUENDE_MLOCK_EXPORT int setresuid(uid_t ruid, uid_t euid, uid_t suid) noexcept {
  return followed(Change::process, [=] { return REAL(setresuid)(ruid, euid, suid); });
}

DUENDE_MLOCK_EXPORT int capset(cap_user_header_t header, cap_user_data_t data) noexcept {
  return followed(Change::thread, [=] { return REAL(capset)(header, data); });
}

DUENDE_MLOCK_EXPORT int unshare(int flags) noexcept {
  const Change change = (flags & CLONE_NEWUSER) != 0 ? Change::name_space : Change::none;
  return followed(change, [=] { return REAL(unshare)(flags); });
}

DUENDE_MLOCK_EXPORT int setns(int file, int type) noexcept {
  return followed(Change::name_space, [=] { return REAL(setns)(file, type); });
}

#ifndef __GLIBC__
using __rlimit_resource_t = int;
using __rlimit_resource = int;
#endif

DUENDE_MLOCK_EXPORT int setrlimit(__rlimit_resource_t resource, const rlimit* limit) noexcept {
  return followed(change_of_limit(0, resource), [=] { return REAL(setrlimit)(resource, limit); });
}

DUENDE_MLOCK_EXPORT int prlimit(pid_t process, __rlimit_resource resource, const rlimit* limit,
                                rlimit* before) noexcept {
  const Change change = limit != nullptr ? change_of_limit(process, resource) : Change::none;
  return followed(change, [=] { return REAL(prlimit)(process, resource, limit, before); });
}

// Declared variadic, and so defined by another name; with all that there may be, which is where
// named arguments are on every 64-bit Linux. Called as declared: on ppc64le what is variadic stores
// its arguments in its caller's frame.

DUENDE_MLOCK_EXPORT int any_prctl(int option, long a, long b, long c, long d) noexcept
    __asm__("prctl");
int any_prctl(int option, long a, long b, long c, long d) noexcept {
  const bool filters = option == PR_SET_SECCOMP && settle_before_filter();
  const int answer = REAL(prctl)(option, a, b, c, d);
  if (filters && answer == 0) {
    note_new_filter();
  }
  return answer;
}

DUENDE_MLOCK_EXPORT long any_syscall(long number, long a, long b, long c, long d, long e,
                                     long f) noexcept __asm__("syscall");
long any_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
#ifdef __powerpc64__  // where no call by a pointer can be a jump
  const auto call = REAL(syscall);
#else  // of a variadic call with an argument on the stack clang makes none
  const auto call = reinterpret_cast<decltype(&any_syscall)>(find_real(k_syscall));
#endif
  const Change change = change_of(number, {a, b, c, d, e, f});
  const bool filters = number == SYS_seccomp && settle_before_filter();
  if (change == Change::none && !filters) {
    // By a jump: a thread waits in a futex here, and libc's tables lead a backtrace through.
    return call(number, a, b, c, d, e, f);
  }
  const long answer = followed(change, [=] { return call(number, a, b, c, d, e, f); });
  if (filters && answer >= 0) {
    note_new_filter();
  }
  return answer;
}

// What a lock refuses, and files mapped as data.

DUENDE_MLOCK_EXPORT int madvise(void* address, std::size_t size, int advice) noexcept {
  const int before = errno;
  const int answer = REAL(madvise)(address, size, advice);
  return after_madvise(answer, before, reinterpret_cast<std::uintptr_t>(address), size, advice);
}

DUENDE_MLOCK_EXPORT int msync(void* address, std::size_t size, int flags) {
  if ((flags & MS_INVALIDATE) == 0) {
    return REAL(msync)(address, size, flags);  // by a jump: a thread may be cancelled in it
  }
  const int before = errno;
  const int answer = REAL(msync)(address, size, flags);
  if (!locked_against(answer)) {
    return answer;
  }
  errno = before;
  return REAL(msync)(address, size, flags & ~MS_INVALIDATE);
}

DUENDE_MLOCK_EXPORT void* mmap(void* address, std::size_t size, int protection, int flags, int file,
                               off_t offset) noexcept {
  return map(REAL(mmap), address, size, protection, flags, file, offset);
}

// The same functions where `long` has 64 bits; musl has one name for both.
#ifdef __GLIBC__
DUENDE_MLOCK_EXPORT [[gnu::alias("setrlimit")]] int setrlimit64(__rlimit_resource_t resource,
                                                                const rlimit64* limit) noexcept;
DUENDE_MLOCK_EXPORT [[gnu::alias("prlimit")]] int prlimit64(pid_t process,
                                                            __rlimit_resource resource,
                                                            const rlimit64* limit,
                                                            rlimit64* before) noexcept;
DUENDE_MLOCK_EXPORT [[gnu::alias("mmap")]] void* mmap64(void* address, std::size_t size,
                                                        int protection, int flags, int file,
                                                        off64_t offset) noexcept;
#endif

// Who goes on when the parent is gone; and what is loaded later.

DUENDE_MLOCK_EXPORT pid_t setsid() noexcept {
  const pid_t session = REAL(setsid)();
  if (session != -1) {
    outlive_parent();
  }
  return session;
}

/// Forks inside the C library, and returns in the child only.
DUENDE_MLOCK_EXPORT int daemon(int stay, int keep) noexcept {
  const int answer = REAL(daemon)(stay, keep);
  if (answer == 0) {
    outlive_parent();
  }
  return answer;
}

// The C library tells by the return address on whose behalf it searches, so that nothing can be
// done after these two: they end in a jump, which leaves it as it was (tests/abi/check looks). What
// dlopen has brought is seen by the dlsym that asks for its entry, or by the next load.

static void look_for_new_code() noexcept {
  const detail::ErrnoGuard guard;
  resident_code().look_for_more(kSystemKernel);
}

DUENDE_MLOCK_EXPORT void* dlopen(const char* file, int mode) noexcept {
  look_for_new_code();
  return REAL(dlopen)(file, mode);
}

DUENDE_MLOCK_EXPORT void* dlsym(void* __restrict object, const char* __restrict name) noexcept {
  look_for_new_code();
  return REAL(dlsym)(object, name);
}
