// SPDX-License-Identifier: MIT OR Apache-2.0
// What differs between processors: registers, system call numbers, and the instructions that enter
// the kernel and that stop. Everything else is the same everywhere.
#pragma once

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__aarch64__)
#include <asm/ptrace.h>
#elif defined(__riscv)
#include <asm/ptrace.h>
#endif

namespace duende::mlock::command {

/// The calls that others are made to make.
enum class Call : unsigned char { mlockall, munlockall, mlock2, munlock, prctl, exit_group };

#if defined(__x86_64__)

using Registers = user_regs_struct;

/// PTRACE_GETREGS, as PTRACE_GETREGSET would give a 32-bit program's registers in another layout.
inline bool get_registers(pid_t tid, Registers& regs) noexcept {
  return ::ptrace(PTRACE_GETREGS, tid, nullptr, &regs) == 0;
}
inline bool set_registers(pid_t tid, const Registers& regs) noexcept {
  return ::ptrace(PTRACE_SETREGS, tid, nullptr, &regs) == 0;
}
inline bool is_32bit(const Registers& regs) noexcept { return regs.cs == 0x23; }  // __USER32_CS

inline std::string_view instruction(const Registers& regs) noexcept {
  using namespace std::string_view_literals;
  return is_32bit(regs) ? "\xcd\x80"sv : "\x0f\x05"sv;  // int 0x80, syscall
}
inline constexpr std::size_t kAlignment = 1;
inline constexpr std::string_view kBreakpoint = "\xcc";  // int3
inline constexpr std::size_t kBehindBreakpoint = 1;      // where it stops

inline long number(const Registers& regs, Call call) noexcept {
  static constexpr short kNumbers[][2] = {{151, 152}, {152, 153}, {325, 376},
                                          {150, 151}, {157, 172}, {231, 252}};
  return kNumbers[static_cast<int>(call)][is_32bit(regs) ? 1 : 0];
}
/// What to write so that the thread makes this call, and the kernel does not take what was
/// interrupted for restarted by it.
inline void aim(Registers& regs, std::uintptr_t at, long number, const long (&args)[5]) noexcept {
  regs.rip = at;
  regs.rax = static_cast<unsigned long>(number);
  regs.orig_rax = static_cast<unsigned long>(-1);
  if (is_32bit(regs)) {
    regs.rbx = args[0], regs.rcx = args[1], regs.rdx = args[2], regs.rsi = args[3],
    regs.rdi = args[4];
  } else {
    regs.rdi = args[0], regs.rsi = args[1], regs.rdx = args[2], regs.r10 = args[3],
    regs.r8 = args[4];
  }
}
inline long result(const Registers& regs) noexcept {
  return is_32bit(regs) ? static_cast<std::int32_t>(regs.rax) : static_cast<long>(regs.rax);
}
inline auto& program_counter(Registers& regs) noexcept { return regs.rip; }
inline std::uintptr_t stack_pointer(const Registers& regs) noexcept { return regs.rsp; }
/// Some calls answer EINTR to any stop: signal(7), "Interruption of system calls and library
/// functions by stop signals". One that waits without limit may be told to the kernel as
/// ERESTARTNOHAND: made again, unless a handler runs, which is then what EINTR comes from. With a
/// time limit it would wait too long, and keeps its EINTR.
inline void forgive_interruption(Registers& regs, unsigned long = 0) noexcept {
  constexpr unsigned long kErestartNoHand = 514;
  if (is_32bit(regs) || static_cast<long>(regs.rax) != -4 /* EINTR */) {
    return;
  }
  bool endless = false;
  switch (regs.orig_rax) {
    case 232:
    case 281: endless = static_cast<std::int32_t>(regs.r10) < 0; break;  // epoll_(p)wait
    case 441:
    case 220: endless = regs.r10 == 0; break;  // epoll_pwait2, semtimedop
    case 65: endless = true; break;            // semop
    case 128: endless = regs.rdx == 0; break;  // rt_sigtimedwait
    case 208:
    case 333: endless = regs.r8 == 0; break;  // io_getevents, io_pgetevents
    default: break;
  }
  if (endless) {
    regs.rax = -kErestartNoHand;
  }
}
/// Calls that answer EINTR to any stop: the list above, and io_uring_enter.
inline constexpr unsigned kNotRestarted[] = {232, 281, 441, 65, 220, 128, 208, 333, 426};
/// The kernel decides on the restart of an interrupted call when it resumes from the stop.
inline constexpr bool kRestartIsPrepared = false;
inline constexpr long kNothing = 39;
inline unsigned long first_argument(Registers& regs) noexcept { return regs.rdi; }

#else  // the generic system call table

#if defined(__aarch64__)
using Registers = user_pt_regs;
inline constexpr std::string_view kInstruction{"\x01\x00\x00\xd4", 4};  // svc #0
inline constexpr std::string_view kBreakpoint{"\x00\x00\x20\xd4", 4};   // brk #0
#elif defined(__riscv)
using Registers = user_regs_struct;
inline constexpr std::string_view kInstruction{"\x73\x00\x00\x00", 4};  // ecall
inline constexpr std::string_view kBreakpoint{"\x73\x00\x10\x00", 4};   // ebreak
#else
#error "no such processor yet"
#endif

inline bool get_registers(pid_t tid, Registers& regs) noexcept {
  iovec space = {&regs, sizeof regs};
  return ::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &space) == 0 && space.iov_len == sizeof regs;
}
inline bool set_registers(pid_t tid, const Registers& regs) noexcept {
  iovec space = {const_cast<Registers*>(&regs), sizeof regs};
  return ::ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &space) == 0;
}
inline bool is_32bit(const Registers&) noexcept { return false; }  // get_registers refuses those
inline std::string_view instruction(const Registers&) noexcept { return kInstruction; }
inline constexpr std::size_t kAlignment = 4;
inline constexpr std::size_t kBehindBreakpoint = 0;

inline long number(const Registers&, Call call) noexcept {
  static constexpr short kNumbers[] = {230, 231, 284, 229, 167, 94};
  return kNumbers[static_cast<int>(call)];
}
#if defined(__aarch64__)
inline auto& argument(Registers& regs, int i) noexcept { return regs.regs[i]; }
inline auto& number_register(Registers& regs) noexcept { return regs.regs[8]; }
#else
inline auto& argument(Registers& regs, int i) noexcept { return (&regs.a0)[i]; }
inline auto& number_register(Registers& regs) noexcept { return regs.a7; }
#endif
inline auto& program_counter(Registers& regs) noexcept { return regs.pc; }
inline std::uintptr_t stack_pointer(const Registers& regs) noexcept { return regs.sp; }

inline void aim(Registers& regs, std::uintptr_t at, long number, const long (&args)[5]) noexcept {
  program_counter(regs) = at;
  number_register(regs) = static_cast<unsigned long>(number);
  for (int i = 0; i < 5; ++i) {
    argument(regs, i) = static_cast<unsigned long>(args[i]);
  }
}
inline long result(const Registers& regs) noexcept {
  return static_cast<long>(argument(const_cast<Registers&>(regs), 0));
}
inline void forgive_interruption(Registers& regs, unsigned long first) noexcept {
  constexpr unsigned long kErestartNoHand = 514;
  if (static_cast<long>(argument(regs, 0)) != -4 /* EINTR */) {
    return;
  }
  bool endless = false;
  switch (number_register(regs)) {
    case 22: endless = static_cast<std::int32_t>(argument(regs, 3)) < 0; break;  // epoll_pwait
    case 441:
    case 192: endless = argument(regs, 3) == 0; break;  // epoll_pwait2, semtimedop
    case 193: endless = true; break;                    // semop
    case 137: endless = argument(regs, 2) == 0; break;  // rt_sigtimedwait
    case 4:
    case 292: endless = argument(regs, 4) == 0; break;  // io_getevents, io_pgetevents
    default: break;
  }
  (void)first;
  if (endless) {
    argument(regs, 0) = -kErestartNoHand;
  }
}
inline constexpr unsigned kNotRestarted[] = {22, 441, 193, 192, 137, 4, 292, 426};
/// The kernel has rewound the program counter before it stops, with the first argument put back
/// from where nobody else reaches it: what was interrupted has to be seen, and shown, one stop
/// earlier.
inline constexpr bool kRestartIsPrepared = true;
inline constexpr long kNothing = 172;  // getpid, which leaves its arguments alone
inline unsigned long first_argument(Registers& regs) noexcept { return argument(regs, 0); }

#endif

}  // namespace duende::mlock::command
