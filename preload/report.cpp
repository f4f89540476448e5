// SPDX-License-Identifier: MIT OR Apache-2.0
#include "report.hpp"

#include <fcntl.h>
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

/// stderr as it was before main.
struct Destination {
  LogLevel threshold = LogLevel::off;
  bool is_journal = false;
  detail::Text<31> name;
  dev_t device = 0;
  ino_t inode = 0;  // 0: there was none
  long flags = 0;   // of a regular file
};
constinit Destination g_destination;

/// DEVICE:INODE of systemd.exec(5).
bool is_journal(const struct stat& target, std::string_view stream) noexcept {
  const auto device = detail::leading_number(stream);
  const auto rest = detail::after(stream, device.length);
  const auto inode = detail::leading_number(detail::after(rest, 1));
  return detail::starts_with(rest, ":") && device.found && inode.found &&
         inode.length + 1 == rest.size() && target.st_dev == device.value &&
         target.st_ino == inode.value;
}

long status_flags() noexcept { return system_call(SYS_fcntl, STDERR_FILENO, F_GETFL, 0L); }

/// Whether the descriptor still is what was stderr before main: a daemon may have closed it, and
/// its number be that of a database. Where other writers write in a regular file shows in its
/// flags.
bool is_as_found(const struct stat& target) noexcept {
  if (target.st_dev != g_destination.device || target.st_ino != g_destination.inode) {
    return false;
  }
  const long flags = S_ISREG(target.st_mode) ? status_flags() : O_APPEND;
  return (flags & O_APPEND) != 0 || flags == g_destination.flags;
}

}  // namespace

void open_report(LogLevel threshold, std::string_view name, Environment environment) noexcept {
  g_destination.threshold = threshold;
  for (const char byte : name) {
    g_destination.name << (byte > ' ' && byte <= '~' ? byte : '?');
  }
  struct stat target;
  if (system_call(SYS_fstat, STDERR_FILENO, &target) == 0) {
    g_destination.device = target.st_dev;
    g_destination.inode = target.st_ino;
    g_destination.flags = S_ISREG(target.st_mode) ? status_flags() : 0;
    g_destination.is_journal = is_journal(target, environment.get("JOURNAL_STREAM").value_or(""));
  }
}

bool reported(LogLevel level) noexcept { return level <= g_destination.threshold; }

void report(LogLevel level, const Line& text) noexcept {
  struct stat target;
  if (!reported(level) || system_call(SYS_fstat, STDERR_FILENO, &target) != 0 ||
      !is_as_found(target)) {
    return;
  }
  Line line;
  if (g_destination.is_journal) {
    line << journal_priority(level);
  }
  line << "duende-mlock[" << static_cast<unsigned>(system_call(SYS_getpid)) << "] "
       << g_destination.name.view() << ": ";
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
