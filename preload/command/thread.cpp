// SPDX-License-Identifier: MIT OR Apache-2.0
#include "thread.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "file.hpp"
#include "process.hpp"

namespace duende::mlock::command {

namespace {

constexpr auto kGetSigmask = static_cast<__ptrace_request>(0x420a);  // Linux 3.11
constexpr auto kSetSigmask = static_cast<__ptrace_request>(0x420b);

/// What could be read of `size` bytes.
std::string read_memory(pid_t pid, std::uintptr_t from, std::size_t size) noexcept {
  std::string bytes(size, '\0');
  const iovec here = {.iov_base = bytes.data(), .iov_len = size};
  const iovec there = {.iov_base = reinterpret_cast<void*>(from), .iov_len = size};
  const ssize_t got = ::process_vm_readv(pid, &here, 1, &there, 1, 0);
  if (got >= 0 || errno == EFAULT) {
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return bytes;
  }
  // Not by whoever may only trace it, as a setuid program: word by word then.
  std::size_t read = 0;
  for (; read + sizeof(long) <= size; read += sizeof(long)) {
    errno = 0;
    const long word = ::ptrace(PTRACE_PEEKTEXT, pid, from + read, nullptr);
    if (errno != 0) {
      break;
    }
    std::memcpy(bytes.data() + read, &word, sizeof word);
  }
  bytes.resize(read);
  return bytes;
}

Stop decode(int status) noexcept {
  using Kind = Stop::Kind;
  if (!WIFSTOPPED(status)) {
    return {};
  }
  const int signal = WSTOPSIG(status);
  if (signal == (SIGTRAP | 0x80)) {  // PTRACE_O_TRACESYSGOOD
    return {Kind::call, 0, 0};
  }
  const int event = status >> 16;
  return {event != 0 ? Kind::event : Kind::signal, signal, event};
}

}  // namespace

bool Thread::seize(int options) noexcept {
  return ::ptrace(PTRACE_SEIZE, id_, nullptr, options | PTRACE_O_TRACESYSGOOD) == 0;
}
bool Thread::interrupt() noexcept { return ::ptrace(PTRACE_INTERRUPT, id_, nullptr, nullptr) == 0; }
bool Thread::resume(__ptrace_request how, int signal) noexcept {
  return ::ptrace(how, id_, nullptr, signal) == 0;
}

bool Thread::pass_on(const Stop& stop) noexcept {
  if (stop.kind == Stop::Kind::event && stop.event == PTRACE_EVENT_STOP && stop.signal != SIGTRAP) {
    return resume(PTRACE_LISTEN);  // it is to stay stopped, until somebody else has it go on
  }
  return resume(PTRACE_CONT, stop.kind == Stop::Kind::signal ? stop.signal : 0);
}

Stop Thread::wait(int timeout_ms) noexcept {
  for (long waited_us = 0, step_us = 20;;) {
    int status = 0;
    const pid_t got = ::waitpid(id_, &status, __WALL | (timeout_ms < 0 ? 0 : WNOHANG));
    if (got == id_) {
      return decode(status);
    }
    if (got < 0 && errno != EINTR) {
      return {};
    }
    if (got == 0) {
      if (waited_us >= timeout_ms * 1000L) {
        return {Stop::Kind::timeout, 0, 0};
      }
      const timespec pause = {.tv_sec = 0, .tv_nsec = step_us * 1000};
      ::nanosleep(&pause, nullptr);
      waited_us += step_us;
      step_us = std::min(2 * step_us, 5000L);
    }
  }
}

/// Only SIGKILL and SIGSTOP come through block_signals().
bool Thread::wait_for_call_stop() noexcept {
  for (;;) {
    const Stop stop = wait();
    switch (stop.kind) {
      case Stop::Kind::call: return true;
      case Stop::Kind::signal: stop_signal_ = stop.signal; [[fallthrough]];
      case Stop::Kind::event:
        if (!resume(PTRACE_SYSCALL)) {
          return false;
        }
        break;
      default: return false;
    }
  }
}

bool Thread::block_signals() noexcept {
  const std::uint64_t all = ~std::uint64_t{0};
  masked_ = ::ptrace(kGetSigmask, id_, sizeof mask_, &mask_) == 0 &&
            ::ptrace(kSetSigmask, id_, sizeof all, &all) == 0;
  return masked_;
}
bool Thread::unblock_signals() noexcept {
  const bool was = masked_;
  masked_ = false;
  return !was || ::ptrace(kSetSigmask, id_, sizeof mask_, &mask_) == 0;
}

// ---- at the start of a program

bool Thread::finish_exec() noexcept {
  // The kernel sets the result register when execve returns, which is after the event: what is
  // written at the event itself would be lost.
  starting_ = true;
  return block_signals() && resume(PTRACE_SYSCALL) && wait_for_call_stop() &&
         get_registers(id_, held_) && find_instruction();
}

bool Thread::run_to_entry() noexcept {
  const std::uintptr_t entry = auxiliary(AT_ENTRY);
  if (entry == 0 || !put_back_registers() || !overwrite(entry, kBreakpoint) ||
      !resume(PTRACE_CONT)) {
    return false;
  }
  for (;;) {
    const Stop stop = wait();
    if (stop.kind == Stop::Kind::gone) {
      return false;
    }
    if (stop.kind == Stop::Kind::signal && stop.signal == SIGTRAP && get_registers(id_, held_) &&
        program_counter(held_) == entry + kBehindBreakpoint) {
      program_counter(held_) = entry;
      return restore_text() && block_signals() && set_registers(id_, held_) && find_instruction();
    }
    if (!pass_on(stop)) {
      return false;
    }
  }
}

// ---- in the middle of one

bool Thread::hold() noexcept {
  if (!get_registers(id_, held_) || !block_signals() || !find_instruction()) {
    return false;
  }
  if constexpr (kRestartIsPrepared) {
    const std::string_view entering = instruction(held_);
    if (read_memory(id_, program_counter(held_), entering.size()) != entering) {
      return true;  // not in a system call
    }
    // It is let into the call again, and interrupted where the answer still shows.
    first_argument_ = first_argument(held_);
    in_call_ = true;
    if (!resume(PTRACE_SYSCALL) || !wait_for_call_stop() || !resume(PTRACE_SYSCALL) ||
        !interrupt() || !wait_for_call_stop() || !get_registers(id_, held_)) {
      return false;
    }
  }
  forgive_interruption(held_, first_argument_);
  return true;
}

// ---- an instruction that enters the kernel

/// Of the auxiliary vector, in the words of the program's size: getauxval(3).
std::uintptr_t Thread::auxiliary(std::uint64_t type) const noexcept {
  const std::size_t word = is_32bit(held_) ? 4 : 8;
  const std::string data = read_or_empty(in_proc(id_, "auxv"));
  for (std::size_t i = 0; i + 2 * word <= data.size(); i += 2 * word) {
    std::uint64_t key = 0;
    std::uint64_t value = 0;
    std::memcpy(&key, data.data() + i, word);
    std::memcpy(&value, data.data() + i + word, word);
    if (key == type) {
      return value;
    }
  }
  return starting_ && data.empty() ? auxiliary_on_stack(type) : 0;
}

/// The same from the end of the stack of a program that starts: the file belongs to root where the
/// program is setuid, and may not be there.
std::uintptr_t Thread::auxiliary_on_stack(std::uint64_t type) const noexcept {
  const std::size_t word = is_32bit(held_) ? 4 : 8;
  std::uintptr_t at = stack_pointer(held_);
  bool readable = true;
  const auto next = [&]() noexcept -> std::uint64_t {
    errno = 0;
    const long both = ::ptrace(PTRACE_PEEKDATA, id_, at, nullptr);
    readable = readable && errno == 0;
    at += word;
    const auto value = static_cast<std::uint64_t>(both);
    return !readable ? 0 : word == 4 ? static_cast<std::uint32_t>(value) : value;
  };
  at += (next() + 1) * word;  // argc, argv, NULL
  while (next() != 0) {       // the environment
  }
  for (std::uint64_t key = next(); key != AT_NULL; key = next()) {
    const std::uint64_t value = next();
    if (key == type) {
      return value;
    }
  }
  return 0;
}

bool Thread::find_instruction_in(std::uintptr_t begin, std::uintptr_t end) noexcept {
  constexpr std::size_t kPiece = 16384;
  const std::string_view wanted = instruction(held_);
  for (std::uintptr_t at = begin; at < end; at += kPiece) {
    const std::size_t size = std::min<std::size_t>(kPiece + wanted.size() - 1, end - at);
    const std::string piece = read_memory(id_, at, size);
    for (auto found = piece.find(wanted); found != piece.npos;
         found = piece.find(wanted, found + 1)) {
      if ((at + found) % kAlignment == 0) {
        instruction_ = at + found;
        return true;
      }
    }
    if (piece.empty()) {
      return false;
    }
  }
  return false;
}

bool Thread::find_instruction_in_text() noexcept {
  const std::string maps = read_or_empty(in_proc(id_, "maps"));
  for (const std::string_view line : split(maps, '\n')) {
    const auto words = words_of(line);
    if (words.size() < 2 || words[1].size() < 3 || words[1][0] != 'r' || words[1][2] != 'x' ||
        line.ends_with("[vsyscall]")) {
      continue;
    }
    const auto ends = split(words[0], '-');
    if (find_instruction_in(number(ends[0], 16).value_or(0), number(ends[1], 16).value_or(0))) {
      return true;
    }
  }
  return false;
}

bool Thread::find_instruction() noexcept {
  constexpr std::size_t kVdsoSize = 16384;  // at most
  const std::uintptr_t vdso = auxiliary(AT_SYSINFO_EHDR);
  if ((vdso != 0 && find_instruction_in(vdso, vdso + kVdsoSize)) || find_instruction_in_text()) {
    return true;
  }
  // The last resort, as every write makes a private copy of the page.
  instruction_ = program_counter(held_);
  return overwrite(instruction_, instruction(held_));
}

bool Thread::overwrite(std::uintptr_t at, std::string_view instruction) noexcept {
  errno = 0;
  original_word_ = ::ptrace(PTRACE_PEEKTEXT, id_, at, nullptr);
  if (errno != 0) {
    return false;
  }
  long word = original_word_;
  std::memcpy(&word, instruction.data(), instruction.size());
  overwritten_ = at;
  return ::ptrace(PTRACE_POKETEXT, id_, at, word) == 0;
}
bool Thread::restore_text() noexcept {
  const std::uintptr_t at = overwritten_;
  overwritten_ = 0;
  return at == 0 || ::ptrace(PTRACE_POKETEXT, id_, at, original_word_) == 0;
}

// ---- the call, and back

std::optional<long> Thread::make_call(long number, const long (&args)[5]) noexcept {
  Registers registers = held_;
  aim(registers, instruction_, number, args);
  if (!set_registers(id_, registers) || !resume(PTRACE_SYSCALL) || !wait_for_call_stop() ||
      !resume(PTRACE_SYSCALL) || !wait_for_call_stop() || !get_registers(id_, registers)) {
    return std::nullopt;
  }
  const long answer = result(registers);
  // Of a call that a filter killed, something else is in the register.
  return answer <= 0 && answer >= -4095 ? std::optional(answer) : std::nullopt;
}

std::optional<long> Thread::call(Call call, long a, long b, long c) noexcept {
  return make_call(number(held_, call), {a, b, c, 0, 0});
}

bool Thread::put_back_registers() noexcept {
  return restore_text() && set_registers(id_, held_) && unblock_signals();
}

/// Into the place in the kernel where the thread had been stopped: only there does it decide on the
/// interrupted call, which with a signal that came in between has to fail with EINTR.
bool Thread::stop_in_kernel() noexcept {
  if constexpr (kRestartIsPrepared) {
    // Hides the first argument, where nobody else reaches it, once more.
    if (in_call_) {
      Registers registers = held_;
      aim(registers, instruction_, kNothing, {static_cast<long>(first_argument_), 0, 0, 0, 0});
      if (!set_registers(id_, registers) || !resume(PTRACE_SYSCALL) || !wait_for_call_stop() ||
          !resume(PTRACE_SYSCALL) || !wait_for_call_stop() || !set_registers(id_, held_)) {
        return false;
      }
    }
  }
  if (!restore_text() || !interrupt() || !resume(PTRACE_CONT)) {
    return false;
  }
  for (;;) {
    const Stop stop = wait();
    if (stop.kind == Stop::Kind::event && stop.event == PTRACE_EVENT_STOP) {
      return true;
    }
    if (stop.kind == Stop::Kind::signal) {
      stop_signal_ = stop.signal;
    }
    // Any stop takes back what was asked for before.
    if (stop.kind == Stop::Kind::gone || !interrupt() || !resume(PTRACE_CONT)) {
      return false;
    }
  }
}

bool Thread::put_back() noexcept {
  if (!starting_ && !stop_in_kernel()) {
    return false;
  }
  const bool prepared = !starting_ && kRestartIsPrepared && in_call_;
  return prepared ? unblock_signals() : put_back_registers();
}

bool Thread::detach() noexcept {
  if (stop_signal_ != 0) {
    ::syscall(SYS_tkill, id_, stop_signal_);
  }
  return resume(PTRACE_DETACH);
}

}  // namespace duende::mlock::command
