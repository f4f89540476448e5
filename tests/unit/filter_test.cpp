// SPDX-License-Identifier: MIT OR Apache-2.0
// Filters that kill, really in force: each test in a process of its own, which is all that they may
// end.
#include "preload/filter.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <initializer_list>
#include <vector>

#include "doctest.hpp"
#include "tests/support/precondition.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::detail::kSystemKernel;
using duende::mlock::test::skip;

constexpr int kNoFilters = 77;  // qemu-user has none

void kill_for(std::initializer_list<long> calls, unsigned action = SECCOMP_RET_KILL_PROCESS) {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, action));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter = {.len = static_cast<unsigned short>(program.size()),
                             .filter = program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) {
    ::_exit(kNoFilters);
  }
}

/// The first step that is not as it should be; 0 if all are.
class Steps {
 public:
  void operator()(bool as_it_should_be) {
    ++step_;
    failed_ = failed_ == 0 && !as_it_should_be ? step_ : failed_;
  }
  [[nodiscard]] int failed() const { return failed_; }

 private:
  int step_ = 0;
  int failed_ = 0;
};

/// What becomes of `test` in a child.
int status_of(void (*test)(Steps&)) {
  const pid_t child = ::fork();
  if (child == 0) {
    Steps steps;
    test(steps);
    ::_exit(steps.failed());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status == kNoFilters << 8 && skip("filters of system calls (seccomp)") ? 0 : status;
}

bool no_child_left() { return ::waitpid(-1, nullptr, __WALL | WNOHANG) == -1 && errno == ECHILD; }

/// By system_call alone, so that the test dies where it should not be made.
bool refused(long number) {
  return !may_call(number) && system_call(number, -1L, -1L, -1L) == -1 && errno == ENOSYS;
}

TEST_CASE("without a filter, nothing is tried") {
  CHECK(status_of([](Steps& expect) {
          learn_filter(kSystemKernel, false);
          expect(filter() == Filter::none);
          expect(may_call(SYS_mlockall));
          expect(system_call(SYS_getpid) == ::getpid());
        }) == 0);
}

TEST_CASE("a filter that kills is found out, by children that leave nothing behind") {
  CHECK(status_of([](Steps& expect) {
          static volatile int signals = 0;
          ::signal(SIGCHLD, [](int) { signals = signals + 1; });
          kill_for({SYS_mlockall, SYS_munlock, SYS_sched_setscheduler});
          learn_filter(kSystemKernel, false);
          expect(filter() == Filter::tried);
          expect(refused(SYS_mlockall));
          expect(refused(SYS_munlock));
          expect(refused(SYS_sched_setscheduler));
          expect(may_call(SYS_mlock2));
          expect(system_call(SYS_getpid) == ::getpid());
          expect(!filter_answers(SYS_mlockall));
          expect(no_child_left());
          expect(signals == 0);
        }) == 0);
}

TEST_CASE("what the child makes itself harmless with may be what kills") {
  for (const long call : {SYS_prlimit64, SYS_prctl, SYS_rt_sigprocmask}) {
    static long number;
    number = call;
    CAPTURE(call);
    CHECK(status_of([](Steps& expect) {
            kill_for({number, SYS_mlockall});
            learn_filter(kSystemKernel, false);
            expect(refused(number));
            expect(refused(SYS_mlockall));
            expect(may_call(SYS_mlock2));
          }) == 0);
  }
}

TEST_CASE("a filter that answers is told from the kernel") {
  CHECK(status_of([](Steps& expect) {
          kill_for({SYS_mlockall, SYS_prctl}, SECCOMP_RET_ERRNO | EPERM);
          learn_filter(kSystemKernel, false);
          expect(may_call(SYS_mlockall));
          expect(filter_answers(SYS_mlockall));
          expect(filter_answers(SYS_prctl));
          for (const long call : {SYS_mlock2, SYS_munlock, SYS_madvise, SYS_sched_setscheduler}) {
            expect(!filter_answers(call));
          }
        }) == 0);
}

TEST_CASE("a filter of the process's own: nothing is called, and a child of it tries") {
  CHECK(status_of([](Steps& expect) {
          learn_filter(kSystemKernel, false);
          kill_for({SYS_mlockall, SYS_getpid});
          note_new_filter();
          expect(filter() == Filter::untried);
          expect(refused(SYS_mlockall));
          expect(refused(SYS_munlock));
          const pid_t child = ::fork();
          if (child == 0) {
            Steps in_child;
            relearn_in_child(false);
            in_child(filter() == Filter::tried);
            in_child(refused(SYS_getpid));
            in_child(refused(SYS_mlockall));
            in_child(may_call(SYS_munlock));
            ::_exit(in_child.failed());
          }
          int status = 0;
          expect(::waitpid(child, &status, 0) == child);
          expect(status == 0);
        }) == 0);
}

TEST_CASE("no child to be had: nothing is called, unless that is required") {
  CHECK(status_of([](Steps& expect) {
          kill_for({SYS_clone}, SECCOMP_RET_ERRNO | EAGAIN);
          learn_filter(kSystemKernel, false);
          expect(filter() == Filter::untried);
          expect(refused(SYS_mlockall));
          learn_filter(kSystemKernel, true);
          expect(may_call(SYS_mlockall));
        }) == 0);
}

}  // namespace
