// SPDX-License-Identifier: MIT OR Apache-2.0
// A thread of another process, stopped, made to enter the kernel, and put back as it was:
// ptrace(2).
#pragma once

#include <optional>

#include "cpu.hpp"

namespace duende::mlock::command {

inline constexpr int kSuspendSeccomp = 0x00200000;  // PTRACE_O_SUSPEND_SECCOMP, Linux 4.3

struct Stop {
  enum class Kind : unsigned char { gone, timeout, event, signal, call } kind = Kind::gone;
  int signal = 0;  // of a signal, or that of a group stop (event PTRACE_EVENT_STOP)
  int event = 0;
};

class Thread {
 public:
  explicit Thread(pid_t id) noexcept : id_(id) {}
  [[nodiscard]] pid_t id() const noexcept { return id_; }

  [[nodiscard]] bool seize(int options) noexcept;
  bool interrupt() noexcept;
  bool resume(__ptrace_request how, int signal = 0) noexcept;
  /// On from a stop that is not the one that is waited for.
  bool pass_on(const Stop& stop) noexcept;
  /// -1: without limit.
  [[nodiscard]] Stop wait(int timeout_ms = -1) noexcept;

  /// At the stop of PTRACE_EVENT_EXEC: on to the end of execve, before the first instruction.
  [[nodiscard]] bool finish_exec() noexcept;
  /// After finish_exec(): on to the program's entry point, which its loader jumps to. False if it
  /// did not come there.
  [[nodiscard]] bool run_to_entry() noexcept;
  /// At any other stop: what is in the registers is to be put back.
  [[nodiscard]] bool hold() noexcept;
  /// One system call, after one of the three; nothing of the program runs. Nothing if it could not
  /// be made, or was not let through.
  [[nodiscard]] std::optional<long> call(Call call, long a = 0, long b = 0, long c = 0) noexcept;
  /// As it was, and still stopped; from here on it goes on as it should, whatever becomes of this
  /// process.
  bool put_back() noexcept;
  bool detach() noexcept;

 private:
  std::optional<long> make_call(long number, const long (&args)[5]) noexcept;
  bool put_back_registers() noexcept;
  bool stop_in_kernel() noexcept;
  bool find_instruction() noexcept;
  bool find_instruction_in(std::uintptr_t begin, std::uintptr_t end) noexcept;
  bool find_instruction_in_text() noexcept;
  [[nodiscard]] std::uintptr_t auxiliary(std::uint64_t type) const noexcept;
  [[nodiscard]] std::uintptr_t auxiliary_on_stack(std::uint64_t type) const noexcept;
  bool overwrite(std::uintptr_t at, std::string_view instruction) noexcept;
  bool restore_text() noexcept;
  bool wait_for_call_stop() noexcept;
  bool block_signals() noexcept;
  bool unblock_signals() noexcept;

  pid_t id_;
  Registers held_{};
  std::uint64_t mask_ = 0;
  std::uintptr_t instruction_ = 0;  // one that enters the kernel
  std::uintptr_t overwritten_ = 0;
  long original_word_ = 0;
  unsigned long first_argument_ = 0;  // of the interrupted call
  bool in_call_ = false;
  bool masked_ = false;
  bool starting_ = false;  // nothing that waits in the kernel has been interrupted
  int stop_signal_ = 0;    // a SIGSTOP that came in between
};

}  // namespace duende::mlock::command
