// SPDX-License-Identifier: MIT OR Apache-2.0
#include "report.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>

#include <duende/mlock/detail/kernel.hpp>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

// System calls go by number here: libc's write(2) and poll(2) are cancellation points, which in
// a fork handler could end the thread, and its fstat(2) is newer than glibc 2.17.
static_assert(sizeof(long) == 8, "struct stat of the 64-bit system call is used below");

/// A signal set as the kernel has it; libc's is larger.
using SignalSet = std::uint64_t;

constexpr SignalSet only(int signal) noexcept { return SignalSet{1} << (signal - 1); }

SignalSet change_mask(int how, SignalSet set) noexcept {
  SignalSet before = 0;
  system_call(SYS_rt_sigprocmask, how, &set, &before, sizeof set);
  return before;
}

/// Holds back the signals a write can raise: SIGPIPE (no reader), SIGXFSZ (RLIMIT_FSIZE) and
/// SIGTTOU (a background process under `stty tostop`, which then just writes).
class WriteSignalsBlocked {
 public:
  WriteSignalsBlocked() noexcept
      : before_(change_mask(SIG_BLOCK, only(SIGPIPE) | only(SIGXFSZ) | only(SIGTTOU))) {
    // Only what was blocked before can have been pending before; that is not ours to take back.
    if ((before_ & raised_) != 0) {
      SignalSet pending = 0;
      system_call(SYS_rt_sigpending, &pending, sizeof pending);
      raised_ &= ~(before_ & pending);
    }
  }

  ~WriteSignalsBlocked() { change_mask(SIG_SETMASK, before_); }
  WriteSignalsBlocked(const WriteSignalsBlocked&) = delete;
  WriteSignalsBlocked& operator=(const WriteSignalsBlocked&) = delete;

  /// Takes back what the write raised.
  void consume() noexcept {
    const timespec at_once = {};
    system_call(SYS_rt_sigtimedwait, &raised_, nullptr, &at_once, sizeof raised_);
  }

 private:
  SignalSet raised_ = only(SIGPIPE) | only(SIGXFSZ);
  SignalSet before_;
};

/// 0 or an errno.
int write_at_once(const struct stat& target, const char* bytes, std::size_t size) noexcept {
  const auto answer = [](long returned) { return returned < 0 ? errno : 0; };
  if (!S_ISREG(target.st_mode)) {
    // A pipe or socket without a reader shows here, before a write would raise SIGPIPE: a SIGPIPE
    // that was pending for the process could not be told from it, and one for the thread not put
    // back.
    pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    const timespec at_once = {};
    if (system_call(SYS_ppoll, &room, 1, &at_once, nullptr, sizeof(SignalSet)) != 1 ||
        room.revents != POLLOUT) {
      return EAGAIN;
    }
    // RWF_NOWAIT works on pipes and sockets since Linux 6.4. O_NONBLOCK would be seen by every
    // process that shares the open file. A terminal, or an older kernel: what has room takes up
    // to PIPE_BUF bytes at once.
    constexpr int kRwfNowait = 8;
    iovec vector = {.iov_base = const_cast<char*>(bytes), .iov_len = size};
    const int error =
        answer(system_call(SYS_pwritev2, STDERR_FILENO, &vector, 1, -1L, -1L, kRwfNowait));
    if (error == 0 || error == EAGAIN || error == EPIPE) {
      return error;
    }
  }
  return answer(system_call(SYS_write, STDERR_FILENO, bytes, size));
}

void write_to_stderr(const struct stat& target, std::string_view line) noexcept {
  WriteSignalsBlocked signals;
  const int error = write_at_once(target, line.data(), line.size());
  if (error == EPIPE || error == EFBIG) {
    signals.consume();
  }
}

/// The prefixes of sd-daemon(3).
constexpr std::string_view journal_priority(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::error: return "<3>";
    case LogLevel::warn: return "<4>";
    case LogLevel::debug: return "<7>";
    default: return "<6>";
  }
}

struct Destination {
  LogLevel threshold = LogLevel::off;
  bool has_journal = false;
  detail::Text<31> name;
  std::uint64_t journal_device = 0;
  std::uint64_t journal_inode = 0;
};
constinit Destination g_destination;

/// DEVICE:INODE of systemd.exec(5).
void find_journal(Destination& destination, std::string_view stream) noexcept {
  const auto device = detail::leading_number(stream);
  const auto rest = detail::after(stream, device.length);
  if (detail::starts_with(rest, ":")) {
    const auto inode = detail::leading_number(detail::after(rest, 1));
    destination.has_journal = device.found && inode.found && inode.length + 1 == rest.size();
    destination.journal_device = device.value;
    destination.journal_inode = inode.value;
  }
}

}  // namespace

void open_report(LogLevel threshold, std::string_view name, Environment environment) noexcept {
  g_destination.threshold = threshold;
  for (const char byte : name) {
    g_destination.name << (byte > ' ' && byte <= '~' ? byte : '?');
  }
  find_journal(g_destination, environment.get("JOURNAL_STREAM").value_or(""));
}

bool reported(LogLevel level) noexcept { return level <= g_destination.threshold; }

void report(LogLevel level, const Line& text) noexcept {
  struct stat target;
  if (!reported(level) || system_call(SYS_fstat, STDERR_FILENO, &target) != 0) {
    return;
  }
  const auto& [threshold, has_journal, name, device, inode] = g_destination;
  Line line;
  if (has_journal && target.st_dev == device && target.st_ino == inode) {
    line << journal_priority(level);
  }
  line << "duende-mlock[" << static_cast<unsigned>(system_call(SYS_getpid)) << "] " << name.view()
       << ": ";
  // The end of the line is never cut.
  const std::size_t room = Line::capacity() - line.size() - 1;
  line << std::string_view(text.c_str(), text.size() < room ? text.size() : room) << '\n';
  write_to_stderr(target, line);
}

void abort_daemon() noexcept {
  // Also keeps a core_pattern that is a pipe from being run, which RLIMIT_CORE does not.
  system_call(SYS_prctl, PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
  constexpr std::uintptr_t kDefault[4] = {};  // the kernel's struct sigaction, at its largest
  system_call(SYS_rt_sigaction, SIGABRT, kDefault, nullptr, sizeof(SignalSet));
  change_mask(SIG_UNBLOCK, only(SIGABRT));
  system_call(SYS_kill, system_call(SYS_getpid), SIGABRT);
  for (;;) {
    system_call(SYS_exit_group, 128 + SIGABRT);
  }
}

}  // namespace duende::mlock::preload
