// SPDX-License-Identifier: MIT OR Apache-2.0
// A plan carried out: which calls are made, in which order, and what their answers lead to.
#include "preload/locking.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "preload/code.hpp"
#include "preload/stack.hpp"

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

const std::string kSpare = [] {
  std::ostringstream call;
  call << "munlock(900000+" << std::hex << page_size() << ')';
  return call.str();
}();

/// A kernel that does as it is told, with a stack of one page.
void script_obedience(FakeKernel& kernel) {
  main_stack() = {};
  resident_code() = {};
  kernel.top_of_stack = 0x900000;
  kernel.mapped = {0x900000};
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
    {.name = "the default",
     .plan = kAllOnfault,
     .calls = {"mlockall(CURRENT|FUTURE|ONFAULT)"},
     .last_flags = "mlockall(CURRENT|FUTURE|ONFAULT)"},
    {.name = "populated: code needs nothing more",
     .plan = kAllPopulated,
     .calls = {"mlockall(CURRENT|FUTURE)"},
     .last_flags = "mlockall(CURRENT|FUTURE)"},
    {.name = "a lazy child of a populated parent: two calls, the second without CURRENT",
     .plan = kLazyChild,
     .calls = {"mlockall(CURRENT|ONFAULT)", "mlockall(FUTURE)"},
     .last_flags = "mlockall(FUTURE)"},
    {.name = "a full child of an on-fault parent",
     .plan = kFullChild,
     .calls = {"mlockall(CURRENT)", "mlockall(FUTURE|ONFAULT)"},
     .last_flags = "mlockall(FUTURE|ONFAULT)"},
    {.name = "current only, on fault",
     .plan = kCurrentOnfault,
     .calls = {"mlockall(CURRENT|ONFAULT)"},
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
     .calls = {"mlockall(CURRENT|ONFAULT)", kSpare},
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
  SUBCASE("its end cannot be told") {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.ask_mapped_error = ENOSYS;
    check(kernel);
  }
}

constexpr LockPlan required(LockPlan plan) {
  plan.required = true;
  return plan;
}

/// A process of four mappings, of which the last three have pages in swap.
struct Swapping {
  FakeKernel kernel;
  Swapping() {
    main_stack() = {};
    kernel.set_memory_use(9000, 4, 8);
    kernel.files["/proc/self/smaps"].contents =
        "1000-3000 rw-p 00000000 00:00 0 [heap]\nSize: 8 kB\nSwap: 0 kB\nSwapPss: 4 kB\n"
        "3000-6000 rw-p 00000000 00:00 0\nSize: 12 kB\nSwap: 4 kB\nSwapPss: 4 kB\n"
        "7000-9000 rw-p 00000000 08:01 7 /bin/daemon\nSize: 8 kB\nSwap: 8 kB\nSwapPss: 4 kB\n"
        "a000-c000 rw-s 00000000 00:01 7 /memfd:x\nSize: 8 kB\nSwap: 4 kB\nSwapPss: 4 kB\n";
    std::string& pagemap = kernel.files["/proc/self/pagemap"].contents;
    for (const int page : {1, 4, 7, 8}) {  // those of the heap have not to be looked at
      mark(pagemap, static_cast<std::size_t>(page));
    }
    mark(pagemap, 12, 0);
  }

  Calls carry_out(const LockPlan& plan) {
    outcome = duende::mlock::preload::carry_out(kernel, plan, kInfinite);
    return kernel.calls;
  }
  Outcome outcome{};

 private:
  static void mark(std::string& pagemap, std::size_t page, unsigned char bits = 0x40) {
    pagemap.resize(std::max(pagemap.size(), page * 8 + 8));
    const std::uint64_t entry = std::uint64_t{bits} << 56;
    std::memcpy(&pagemap[page * 8], &entry, sizeof entry);
  }
};

TEST_CASE("of what was swapped out before the lock, just the pages in swap are brought back") {
  if (page_size() != 0x1000) {
    MESSAGE("skipped: written for pages of 4 KiB");
    return;
  }
  const std::string locked = "mlockall(CURRENT|ONFAULT)";
  const Calls brought_back = {locked, "touch(4000)", "touch(7000)", "touch(8000)",
                              "madvise(a000+2000, 3)"};
  Swapping process;
  FakeKernel& kernel = process.kernel;
  SUBCASE("nothing was") {
    kernel.set_memory_use(9000, 4, 0);
    CHECK(process.carry_out(kCurrentOnfault) == Calls{locked});
  }
  SUBCASE("some was") {
    CHECK(process.carry_out(required(kCurrentOnfault)) == brought_back);
    CHECK(process.outcome.failure == Failure::none);
  }
  SUBCASE("what is mapped now is not to be locked") {
    CHECK(process.carry_out(kFutureOnfault) == Calls{"mlockall(FUTURE|ONFAULT)"});
  }
  SUBCASE("the lock failed") {
    kernel.mlockall_errors = {EPERM};
    CHECK(process.carry_out(kCurrentOnfault) == Calls{locked, "munlockall()"});
  }
  SUBCASE("a page that cannot be read: the others of other mappings still are") {
    kernel.unreadable = {0x4000};
    CHECK(process.carry_out(kCurrentOnfault) == brought_back);
    CHECK(process.outcome.failure == Failure::none);
  }
  SUBCASE("and with REQUIRED that is a failure") {
    kernel.unreadable = {0x4000};
    CHECK(process.carry_out(required(kCurrentOnfault)).back() == "munlockall()");
    CHECK(process.outcome.failure == Failure::in_swap);
  }
  SUBCASE("as is what cannot be told: no pagemap") {
    kernel.files.erase("/proc/self/pagemap");
    (void)process.carry_out(required(kCurrentOnfault));
    CHECK(process.outcome.failure == Failure::in_swap);
  }
  SUBCASE("or no smaps") {
    kernel.files.erase("/proc/self/smaps");
    (void)process.carry_out(required(kCurrentOnfault));
    CHECK(process.outcome.failure == Failure::in_swap);
  }
}

TEST_CASE("files mapped as data are left out, and the rest populated after that") {
  const std::string maps =
      "1000-2000 r-xp 00000000 08:01 7 /bin/daemon\n3000-4000 r--s 00000000 08:01 8 /data\n";
  const auto calls = [&](LockPlan plan, bool mapped) {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.files["/proc/self/maps"].contents = maps;
    kernel.data_files_mapped = mapped;
    (void)lock_only(kernel, plan, kInfinite);
    return kernel.calls;
  };
  const std::string left = "munlock(3000+1000)";
  CHECK(calls(kAllOnfault, true) == Calls{"mlockall(CURRENT|FUTURE|ONFAULT)", left});
  CHECK(calls(kAllOnfault, false) == Calls{"mlockall(CURRENT|FUTURE|ONFAULT)"});
  CHECK(calls(kFutureOnfault, true) == Calls{"mlockall(FUTURE|ONFAULT)"});
  CHECK(calls(kAllPopulated, true) ==
        Calls{"mlockall(CURRENT|ONFAULT)", "mlockall(FUTURE)", "mlock(1000+1000)", left});
  LockPlan all = kAllOnfault;
  all.data_files = true;
  CHECK(calls(all, true) == Calls{"mlockall(CURRENT|FUTURE|ONFAULT)"});
}

TEST_CASE("the future alone is believed when a new mapping shows it") {
  const auto failure = [](const LockPlan& plan, Answer answer) {
    FakeKernel kernel;
    kernel.set_memory_use(9000, 0);
    kernel.locks_new_mappings = answer;
    return carry_out(kernel, plan, kInfinite).failure;
  };
  for (const LockPlan& plan : {kFuture, kFutureOnfault}) {
    CHECK(failure(plan, Answer::yes) == Failure::none);
    CHECK(failure(plan, Answer::unknown) == Failure::none);
    CHECK(failure(plan, Answer::no) == Failure::not_honoured);
  }
}

TEST_CASE("code that is too much for the memory there is stays evictable, also in children") {
  FakeKernel kernel;
  script_obedience(kernel);
  kernel.total_memory = std::size_t{64} << 20U;
  kernel.code = {{0x7000000, std::size_t{40} << 20U}};
  LockPlan plan = kAllOnfault;
  plan.code = Code::resident;
  CHECK(carry_out(kernel, plan, kInfinite).failure == Failure::none);
  const std::string left = "munlock(8000000+1800000)";
  CHECK(kernel.calls.back() == left);
  for (const bool current : {true, false}) {
    kernel.calls.clear();
    plan.current = current;
    CHECK(lock_only(kernel, plan, kInfinite).failure == Failure::none);
    CHECK(kernel.calls.size() == (current ? 2 : 1));
    CHECK((kernel.calls.back() == left) == current);
  }
}

TEST_CASE("code that cannot be made resident is left to faults") {
  for (const int error : {EINVAL, ENOMEM, EFAULT, EHWPOISON}) {
    FakeKernel kernel;
    script_obedience(kernel);
    kernel.code = {{0x10000, 0x1000}};
    kernel.populate_errors = {error};
    LockPlan plan = kAllOnfault;
    plan.code = Code::resident;
    CHECK(carry_out(kernel, plan, kInfinite).failure == Failure::none);
    CHECK(kernel.calls.size() == 2);
  }
}

}  // namespace
