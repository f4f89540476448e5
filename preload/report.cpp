// SPDX-License-Identifier: MIT OR Apache-2.0
#include "report.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <duende/mlock/detail/kernel.hpp>

namespace duende::mlock::preload {

namespace {

// System calls go by number here: libc's write(2) and poll(2) are cancellation points, which in
// a fork handler could end the thread, and its fstat(2) is newer than glibc 2.17.
static_assert(sizeof(long) == 8, "struct stat of the 64-bit system call is used below");

constexpr std::size_t kKernelSignalSet = 8;  // bytes of a sigset_t that the kernel knows

/// Holds back the signals a write can raise: SIGPIPE (no reader), SIGXFSZ (RLIMIT_FSIZE) and
/// SIGTTOU (a background process under `stty tostop`, which then just writes).
class WriteSignalsBlocked {
 public:
  WriteSignalsBlocked() noexcept {
    ::sigemptyset(&raised_);
    ::sigaddset(&raised_, SIGPIPE);
    ::sigaddset(&raised_, SIGXFSZ);
    sigset_t blocked = raised_;
    ::sigaddset(&blocked, SIGTTOU);
    ::sigprocmask(SIG_BLOCK, &blocked, &before_);
    leave_those_already_pending();
  }

  ~WriteSignalsBlocked() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  WriteSignalsBlocked(const WriteSignalsBlocked&) = delete;
  WriteSignalsBlocked& operator=(const WriteSignalsBlocked&) = delete;

  /// Takes back what the write raised.
  void consume() noexcept {
    const timespec at_once = {};
    ::syscall(SYS_rt_sigtimedwait, &raised_, nullptr, &at_once, kKernelSignalSet);
  }

 private:
  /// Only a signal that was blocked before can have been pending before.
  void leave_those_already_pending() noexcept {
    for (const int signal : {SIGPIPE, SIGXFSZ}) {
      sigset_t pending;
      if (::sigismember(&before_, signal) == 1 && ::sigpending(&pending) == 0 &&
          ::sigismember(&pending, signal) == 1) {
        ::sigdelset(&raised_, signal);
      }
    }
  }

  sigset_t before_;
  sigset_t raised_;
};

/// 0 or an errno.
int write_at_once(const struct stat& target, const char* bytes, std::size_t size) noexcept {
  const auto answer = [](long returned) { return returned < 0 ? errno : 0; };
  if (S_ISSOCK(target.st_mode)) {
    return answer(
        ::syscall(SYS_sendto, STDERR_FILENO, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0));
  }
  if (!S_ISREG(target.st_mode)) {
    // A pipe without a reader shows here, before a write would raise SIGPIPE: a SIGPIPE that was
    // pending for the process could not be told from it, and one for the thread not put back.
    pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    const timespec at_once = {};
    if (::syscall(SYS_ppoll, &room, 1, &at_once, nullptr, kKernelSignalSet) != 1 ||
        room.revents != POLLOUT) {
      return EAGAIN;
    }
    // RWF_NOWAIT works on pipes since Linux 6.4. O_NONBLOCK would be seen by every process
    // that shares the open file. A terminal, or an older kernel: a pipe with room takes up to
    // PIPE_BUF bytes at once.
    constexpr int kRwfNowait = 8;
    iovec vector = {.iov_base = const_cast<char*>(bytes), .iov_len = size};
    const int error =
        answer(::syscall(SYS_pwritev2, STDERR_FILENO, &vector, 1, -1L, -1L, kRwfNowait));
    if (error == 0 || error == EAGAIN || error == EPIPE) {
      return error;
    }
  }
  return answer(::syscall(SYS_write, STDERR_FILENO, bytes, size));
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

}  // namespace

void Reporter::open(LogLevel threshold, std::string_view name, Environment environment) noexcept {
  threshold_ = threshold;
  for (const char byte : name) {
    name_ << (byte > ' ' && byte <= '~' ? byte : '?');
  }
  const std::string_view stream = environment.get("JOURNAL_STREAM").value_or("");
  const auto device = detail::leading_number(stream);
  const std::string_view rest = detail::after(stream, device.length);
  if (!device.found || !detail::starts_with(rest, ":")) {
    return;
  }
  const auto inode = detail::leading_number(detail::after(rest, 1));
  has_journal_ = inode.found && inode.length + 1 == rest.size();
  journal_device_ = device.value;
  journal_inode_ = inode.value;
}

void Reporter::write(LogLevel level, const Line& text) const noexcept {
  const detail::ErrnoGuard guard;
  struct stat target;
  if (!wants(level) || ::syscall(SYS_fstat, STDERR_FILENO, &target) != 0) {
    return;
  }
  detail::Text<Line::capacity() + 80> line;
  if (has_journal_ && target.st_dev == journal_device_ && target.st_ino == journal_inode_) {
    line << journal_priority(level);
  }
  line << "duende-mlock[" << ::getpid() << "] " << name_ << ": " << text << '\n';
  write_to_stderr(target, line);
}

void abort_daemon() noexcept {
  // Also keeps a core_pattern that is a pipe from being run, which RLIMIT_CORE does not.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::signal(SIGABRT, SIG_DFL);
  sigset_t abort_signal;
  ::sigemptyset(&abort_signal);
  ::sigaddset(&abort_signal, SIGABRT);
  ::sigprocmask(SIG_UNBLOCK, &abort_signal, nullptr);
  ::raise(SIGABRT);
  ::_exit(128 + SIGABRT);
}

}  // namespace duende::mlock::preload
