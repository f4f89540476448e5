// SPDX-License-Identifier: MIT OR Apache-2.0
// A plan carried out: which calls are made, in which order, and what their answers lead to.
#include "preload/locking.hpp"

#include <cerrno>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

constexpr MemlockLimit kInfinite;
constexpr MemlockLimit kCapped = {.soft = 8U << 20U, .hard = 8U << 20U};

constexpr LockPlan kAllOnfault = {
    .current = true, .current_onfault = true, .future = true, .future_onfault = true};
constexpr LockPlan kAllPopulated = {.current = true, .future = true};
constexpr LockPlan kLazyChild = {.current = true, .current_onfault = true, .future = true};
constexpr LockPlan kFullChild = {.current = true, .future = true, .future_onfault = true};
constexpr LockPlan kCurrentOnfault = {.current = true, .current_onfault = true};
constexpr LockPlan kCurrent = {.current = true};
constexpr LockPlan kFutureOnfault = {.future = true, .future_onfault = true};
constexpr LockPlan kFuture = {.future = true};
constexpr LockPlan kSparing = {.current = true,
                               .current_onfault = true,
                               .future_onfault = true,
                               .spare_growth = true,
                               .future_withheld = true};

const std::string kPage = [] {
  std::string hex;
  for (std::size_t size = page_size(); size != 0; size /= 16) {
    hex.insert(hex.begin(), "0123456789abcdef"[size % 16]);
  }
  return hex;
}();
const std::string kPopulate = "populate_read(1000+1000)";
const std::string kSpare = "munlock(9000+" + kPage + ")";

/// A kernel that does as it is told, with a program of one page of code and a stack.
void script_obedience(FakeKernel& kernel) {
  kernel.files["/proc/self/maps"].contents =
      "1000-2000 r-xp 00000000 08:01 7 /bin/daemon\n"
      "9000-b000 rw-p 00000000 00:00 0 [stack]\n";
  kernel.set_memory_use(9000, 4);
}

struct OrderRow {
  const char* name;
  LockPlan plan;
  std::vector<int> errors = {};  // of mlockall, in order
  Calls calls = {};
  Failure failure = Failure::none;
  int error = 0;
  bool onfault_refused = false;
  std::string last_flags = {};
};

const OrderRow kOrders[] = {
    // Each plan, on a kernel that knows everything.
    {.name = "the default: code is made resident after the lock",
     .plan = kAllOnfault,
     .calls = {"mlockall(CURRENT|FUTURE|ONFAULT)", kPopulate},
     .last_flags = "mlockall(CURRENT|FUTURE|ONFAULT)"},
    {.name = "populated: code needs nothing more",
     .plan = kAllPopulated,
     .calls = {"mlockall(CURRENT|FUTURE)"},
     .last_flags = "mlockall(CURRENT|FUTURE)"},
    {.name = "a lazy child of a populated parent: two calls, the second without CURRENT",
     .plan = kLazyChild,
     .calls = {"mlockall(CURRENT|ONFAULT)", "mlockall(FUTURE)", kPopulate},
     .last_flags = "mlockall(FUTURE)"},
    {.name = "a full child of an on-fault parent",
     .plan = kFullChild,
     .calls = {"mlockall(CURRENT)", "mlockall(FUTURE|ONFAULT)"},
     .last_flags = "mlockall(FUTURE|ONFAULT)"},
    {.name = "current only, on fault",
     .plan = kCurrentOnfault,
     .calls = {"mlockall(CURRENT|ONFAULT)", kPopulate},
     .last_flags = "mlockall(CURRENT|ONFAULT)"},
    {.name = "current only, populated",
     .plan = kCurrent,
     .calls = {"mlockall(CURRENT)"},
     .last_flags = "mlockall(CURRENT)"},
    {.name = "future only, on fault: what is mapped now stays as it is",
     .plan = kFutureOnfault,
     .calls = {"mlockall(FUTURE|ONFAULT)"},
     .last_flags = "mlockall(FUTURE|ONFAULT)"},
    {.name = "future only, populated",
     .plan = kFuture,
     .calls = {"mlockall(FUTURE)"},
     .last_flags = "mlockall(FUTURE)"},
    {.name = "under a limit: the stack's lowest page goes last",
     .plan = kSparing,
     .calls = {"mlockall(CURRENT|ONFAULT)", kPopulate, kSpare},
     .last_flags = "mlockall(CURRENT|ONFAULT)"},
    {.name = "nothing to do", .plan = LockPlan{}, .calls = {}, .last_flags = "mlockall()"},
    {.name = "nothing to do, on fault: MCL_ONFAULT alone would be EINVAL",
     .plan = {.current_onfault = true, .future_onfault = true, .future_withheld = true},
     .errors = {EINVAL},
     .calls = {},
     .last_flags = "mlockall()"},

    // EINVAL to MCL_ONFAULT, before Linux 4.4: once more without it.
    {.name = "on-fault unknown",
     .plan = kAllOnfault,
     .errors = {EINVAL},
     .calls = {"mlockall(CURRENT|FUTURE|ONFAULT)", "mlockall(CURRENT|FUTURE)"},
     .onfault_refused = true,
     .last_flags = "mlockall(CURRENT|FUTURE)"},
    {.name = "on-fault unknown under a limit",
     .plan = kSparing,
     .errors = {EINVAL},
     .calls = {"mlockall(CURRENT|ONFAULT)", "mlockall(CURRENT)", kSpare},
     .onfault_refused = true,
     .last_flags = "mlockall(CURRENT)"},
    {.name = "on-fault unknown in a lazy child",
     .plan = kLazyChild,
     .errors = {EINVAL},
     .calls = {"mlockall(CURRENT|ONFAULT)", "mlockall(CURRENT)", "mlockall(FUTURE)"},
     .onfault_refused = true,
     .last_flags = "mlockall(FUTURE)"},
    {.name = "on-fault unknown for the second call of a full child",
     .plan = kFullChild,
     .errors = {0, EINVAL},
     .calls = {"mlockall(CURRENT)", "mlockall(FUTURE|ONFAULT)", "mlockall(FUTURE)"},
     .onfault_refused = true,
     .last_flags = "mlockall(FUTURE)"},
    {.name = "EINVAL without on-fault has no second try",
     .plan = kAllPopulated,
     .errors = {EINVAL},
     .calls = {"mlockall(CURRENT|FUTURE)", "munlockall()"},
     .failure = Failure::refused,
     .error = EINVAL,
     .last_flags = "mlockall(CURRENT|FUTURE)"},
    {.name = "EINVAL to both",
     .plan = kAllOnfault,
     .errors = {EINVAL, EINVAL},
     .calls = {"mlockall(CURRENT|FUTURE|ONFAULT)", "mlockall(CURRENT|FUTURE)", "munlockall()"},
     .failure = Failure::refused,
     .error = EINVAL,
     .onfault_refused = true,
     .last_flags = "mlockall(CURRENT|FUTURE)"},
    {.name = "another errno to the second try",
     .plan = kAllOnfault,
     .errors = {EINVAL, ENOMEM},
     .calls = {"mlockall(CURRENT|FUTURE|ONFAULT)", "mlockall(CURRENT|FUTURE)", "munlockall()"},
     .failure = Failure::refused,
     .error = ENOMEM,
     .onfault_refused = true,
     .last_flags = "mlockall(CURRENT|FUTURE)"},

    // A second call that fails takes back what the first one locked.
    {.name = "the future refused in a lazy child",
     .plan = kLazyChild,
     .errors = {0, ENOMEM},
     .calls = {"mlockall(CURRENT|ONFAULT)", "mlockall(FUTURE)", "munlockall()"},
     .failure = Failure::refused,
     .error = ENOMEM,
     .last_flags = "mlockall(FUTURE)"},
    {.name = "the present refused in a lazy child: the future is not even asked for",
     .plan = kLazyChild,
     .errors = {ENOMEM},
     .calls = {"mlockall(CURRENT|ONFAULT)", "munlockall()"},
     .failure = Failure::refused,
     .error = ENOMEM,
     .last_flags = "mlockall(CURRENT|ONFAULT)"},
};

TEST_CASE("the calls of each plan, in order") {
  for (const OrderRow& row : kOrders) {
    CAPTURE(row.name);
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.mlockall_errors.assign(row.errors.begin(), row.errors.end());
    const Outcome outcome = carry_out(kernel, row.plan, kCapped);
    CHECK(kernel.calls == row.calls);
    CHECK(outcome.failure == row.failure);
    CHECK(outcome.error == row.error);
    CHECK(outcome.onfault_refused == row.onfault_refused);
    CHECK(duende::mlock::test::mlockall_call(outcome.flags) == row.last_flags);
    CHECK(outcome.limit.soft == kCapped.soft);
  }
}

TEST_CASE("lock_only makes the same calls of mlockall, and no other") {
  for (const OrderRow& row : kOrders) {
    CAPTURE(row.name);
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.mlockall_errors.assign(row.errors.begin(), row.errors.end());
    const Outcome outcome = lock_only(kernel, row.plan, kCapped);
    Calls calls;
    for (const std::string& call : row.calls) {
      if (call.compare(0, 8, "mlockall") == 0) {
        calls.push_back(call);
      }
    }
    CHECK(kernel.calls == calls);
    CHECK(outcome.failure == row.failure);
    CHECK(outcome.onfault_refused == row.onfault_refused);
    CHECK_FALSE(outcome.memory);
  }
}

TEST_CASE("no errno but EINVAL is a reason to lock otherwise") {
  for (const int error : {EPERM, ENOMEM, EAGAIN, ENOSYS, EFAULT}) {
    for (const LockPlan& plan : {kAllOnfault, kCurrentOnfault, kSparing, kFutureOnfault}) {
      CAPTURE(error);
      FakeKernel kernel;
      script_obedience(kernel);
      kernel.mlockall_errors = {error};
      const Outcome outcome = carry_out(kernel, plan, kInfinite);
      REQUIRE(kernel.calls.size() == 2);
      CHECK(kernel.calls.back() == "munlockall()");
      CHECK(outcome.failure == Failure::refused);
      CHECK(outcome.error == error);
      CHECK_FALSE(outcome.onfault_refused);
    }
  }
}

TEST_CASE("what the kernel charged is read back") {
  FakeKernel kernel;
  script_obedience(kernel);
  const Outcome outcome = carry_out(kernel, kAllOnfault, kInfinite);
  REQUIRE(outcome.memory);
  CHECK(outcome.memory->locked == 4096);
  CHECK(outcome.memory->address_space == 9000 * 1024);
}

TEST_CASE("mlockall that answers 0 and locks nothing has failed") {
  for (const LockPlan& plan : {kAllOnfault, kAllPopulated, kCurrent, kLazyChild, kSparing}) {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.set_memory_use(9000, 0);
    const Outcome outcome = carry_out(kernel, plan, kInfinite);
    CHECK(outcome.failure == Failure::not_honoured);
    CHECK(kernel.calls.back() == "munlockall()");
  }
}

TEST_CASE("the future alone charges nothing yet") {
  for (const LockPlan& plan : {kFuture, kFutureOnfault}) {
    FakeKernel kernel;
    kernel.set_memory_use(9000, 0);
    CHECK(carry_out(kernel, plan, kInfinite).failure == Failure::none);
  }
}

TEST_CASE("without /proc the lock stands, of unknown size") {
  for (const LockPlan& plan : {kAllOnfault, kAllPopulated, kFuture}) {
    FakeKernel kernel;
    const Outcome outcome = carry_out(kernel, plan, kInfinite);
    CHECK(outcome.failure == Failure::none);
    CHECK_FALSE(outcome.memory);
    CHECK(kernel.calls.size() == 1);
  }
}

TEST_CASE("a stack that cannot be spared is a failure, and nothing stays locked") {
  const auto check = [](FakeKernel& kernel) {
    CHECK(carry_out(kernel, kSparing, kCapped).failure == Failure::stack_lost);
    CHECK(kernel.calls.back() == "munlockall()");
  };
  SUBCASE("munlock is refused") {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.munlock_error = EPERM;
    check(kernel);
  }
  SUBCASE("without /proc/self/maps") {
    FakeKernel kernel;
    kernel.set_memory_use(9000, 4);
    check(kernel);
  }
  SUBCASE("no stack in it") {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.files["/proc/self/maps"].contents = "1000-2000 r-xp 00000000 08:01 7 /bin/daemon\n";
    check(kernel);
  }
}

TEST_CASE("what was swapped out before the lock is brought back, and nothing else is populated") {
  const Calls locked = {"mlockall(CURRENT|ONFAULT)"};
  const Calls brought_back = {locked[0], "populate_read(3000+1000)", "populate_read(7000+2000)"};
  const auto calls = [](FakeKernel& kernel, const LockPlan& plan, std::size_t swapped_kib) {
    kernel.set_memory_use(9000, 4, swapped_kib);
    kernel.files["/proc/self/smaps"].contents =
        "1000-2000 rw-p 00000000 00:00 0 [heap]\nSize: 4 kB\nSwap: 0 kB\nSwapPss: 4 kB\n"
        "3000-4000 rw-p 00000000 00:00 0\nSize: 4 kB\nSwap: 4 kB\nSwapPss: 4 kB\n"
        "5000-6000 rw-p 00000000 00:00 0\nSize: 4 kB\nSwap: 0 kB\nSwapPss: 0 kB\n"
        "7000-9000 rw-p 00000000 08:01 7 /bin/daemon\nSize: 8 kB\nSwap: 4 kB\nSwapPss: 4 kB\n";
    (void)carry_out(kernel, plan, kInfinite);
    return kernel.calls;
  };
  FakeKernel kernel;
  SUBCASE("nothing was") { CHECK(calls(kernel, kCurrentOnfault, 0) == locked); }
  SUBCASE("some was") { CHECK(calls(kernel, kCurrentOnfault, 8) == brought_back); }
  SUBCASE("a page that cannot be read does not keep the others out") {
    kernel.populate_errors = {EFAULT};
    CHECK(calls(kernel, kCurrentOnfault, 8) == brought_back);
  }
  SUBCASE("what is mapped now is not to be locked") {
    CHECK(calls(kernel, kFutureOnfault, 8) == Calls{"mlockall(FUTURE|ONFAULT)"});
  }
  SUBCASE("the lock failed") {
    kernel.mlockall_errors = {EPERM};
    CHECK(calls(kernel, kCurrentOnfault, 8) == Calls{locked[0], "munlockall()"});
  }
}

TEST_CASE("code that cannot be made resident is left to faults") {
  for (const int error : {EINVAL, ENOMEM, EFAULT, EHWPOISON}) {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.populate_errors = {error};
    CHECK(carry_out(kernel, kAllOnfault, kInfinite).failure == Failure::none);
  }
}

}  // namespace
