// SPDX-License-Identifier: MIT OR Apache-2.0
// Which code is made resident, and within which limits.
#include "preload/code.hpp"

#include <cerrno>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "preload/cgroup.hpp"

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

constexpr std::size_t kMiB = std::size_t{1} << 20U;

std::string populated(std::uintptr_t begin, std::size_t size) {
  std::ostringstream call;
  call << std::hex << "populate_read(" << begin << '+' << size << ')';
  return call.str();
}

TEST_CASE("each segment is read in once, also when more is loaded") {
  FakeKernel kernel;
  kernel.code = {{0x1000, 0x2000}, {0x9000, 0x1000}};
  ResidentCode code;
  code.read_in(kernel);
  CHECK(kernel.calls == Calls{populated(0x1000, 0x2000), populated(0x9000, 0x1000)});
  code.look_for_more(kernel);
  CHECK(kernel.calls.size() == 2);
  kernel.code.insert(kernel.code.begin() + 1, {0x5000, 0x3000});
  code.look_for_more(kernel);
  REQUIRE(kernel.calls.size() == 4);
  CHECK(kernel.calls[2] == "mlock2(5000+3000)");
  CHECK(kernel.calls[3] == populated(0x5000, 0x3000));
}

TEST_CASE("of what is loaded later, data is locked as well") {
  FakeKernel kernel;
  kernel.code = {{0x1000, 0x2000}, {0x3000, 0x1000}};
  kernel.writable_code = {0x3000, 0x8000};
  ResidentCode code;
  code.read_in(kernel);
  CHECK(kernel.calls == Calls{populated(0x1000, 0x2000)});
  kernel.calls.clear();
  kernel.code.insert(kernel.code.end(), {{0x7000, 0x1000}, {0x8000, 0x1000}});
  code.look_for_more(kernel);
  CHECK(kernel.calls == Calls{"mlock2(3000+1000)", "mlock2(7000+1000)", populated(0x7000, 0x1000),
                              "mlock2(8000+1000)"});
}

TEST_CASE("nothing is looked for where nothing was read in") {
  FakeKernel kernel;
  kernel.code = {{0x1000, 0x2000}};
  ResidentCode code;
  code.look_for_more(kernel);
  code.read_in_again(kernel);
  CHECK(kernel.calls.empty());
}

TEST_CASE("in a child the same again, without a look at what is loaded") {
  FakeKernel kernel;
  kernel.code = {{0x1000, 0x2000}, {0x9000, 0x1000}};
  ResidentCode code;
  code.read_in(kernel);
  const Calls before = kernel.calls;
  kernel.calls.clear();
  kernel.code.clear();
  code.read_in_again(kernel);
  CHECK(kernel.calls == before);
}

TEST_CASE("a child that only may outlive its parent gets the first of it") {
  FakeKernel kernel;
  kernel.code = {{0x1000, 0x2000}, {0x9000, 0x4000}, {0x10000, 0x1000}};
  ResidentCode code;
  code.read_in(kernel);
  kernel.calls.clear();
  code.read_in_again(kernel, 0x3000);
  CHECK(kernel.calls == Calls{populated(0x1000, 0x2000), populated(0x9000, 0x1000)});
}

TEST_CASE("of very many segments, a child gets the first") {
  FakeKernel kernel;
  for (std::uintptr_t i = 1; i <= 200; ++i) {
    kernel.code.emplace_back(i * 0x10000, 0x1000);
  }
  ResidentCode code;
  code.read_in(kernel);
  CHECK(kernel.calls.size() == 200);
  kernel.calls.clear();
  code.read_in_again(kernel);
  CHECK(kernel.calls.size() == 128);
}

TEST_CASE("an error does not keep others out") {
  FakeKernel kernel;
  kernel.code = {{0x1000, 0x2000}, {0x9000, 0x1000}};
  kernel.populate_errors = {EINVAL};
  ResidentCode().read_in(kernel);
  CHECK(kernel.calls.size() == 2);
}

/// How many bytes such calls were about.
std::size_t total_of(const FakeKernel& kernel, const std::string& name) {
  std::size_t total = 0;
  for (const std::string& call : kernel.calls) {
    total += call.rfind(name + '(', 0) == 0
                 ? std::stoul(call.substr(call.find('+') + 1), nullptr, 16)
                 : 0;
  }
  return total;
}

struct BudgetRow {
  const char* name;
  std::size_t machine;
  std::map<std::string, std::string> files;
  std::size_t budget;
  std::size_t evictable = 0;  // of two segments of 100 MiB
};

const BudgetRow kBudgets[] = {
    {"nothing but the machine", 64U << 30U, {}, kCodeBudget},
    {"a small machine", 128 * kMiB, {}, 32 * kMiB, 168 * kMiB},
    {"one that could hold just as much", 400 * kMiB, {}, kCodeBudget},
    {"one that could hold one segment", 399 * kMiB, {}, kCodeBudget, 100 * kMiB},
    {"a machine of unknown size", 0, {}, kCodeBudget},
    {"version 2: its own group",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/system.slice/a.service\n"},
      {"/sys/fs/cgroup/system.slice/a.service/memory.max", "134217728\n"},
      {"/sys/fs/cgroup/system.slice/a.service/memory.high", "max\n"},
      {"/sys/fs/cgroup/system.slice/memory.max", "max\n"}},
     32 * kMiB,
     168 * kMiB},
    {"version 2: a group above it",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/system.slice/a.service\n"},
      {"/sys/fs/cgroup/system.slice/a.service/memory.max", "max\n"},
      {"/sys/fs/cgroup/system.slice/memory.max", "67108864\n"}},
     16 * kMiB,
     184 * kMiB},
    {"version 2: memory.high",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/a/memory.high", "83886080\n"}},
     20 * kMiB,
     180 * kMiB},
    {"version 2: the root of a container",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup//memory.max", "134217728\n"}},
     32 * kMiB,
     168 * kMiB},
    {"version 1, beside a hierarchy without memory",
     64U << 30U,
     {{"/proc/self/cgroup", "9:name=systemd:/\n4:memory:/a/b\n0::/\n"},
      {"/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"},
      {"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "134217728\n"}},
     32 * kMiB,
     168 * kMiB},
    {"version 1: a container that sees its own group as the root",
     64U << 30U,
     {{"/proc/self/cgroup", "4:memory:/docker/0123\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n"}},
     32 * kMiB,
     168 * kMiB},
    {"a limit that is smaller than what is free anyway",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/a/memory.max", "1048576\n"}},
     4 * kMiB,
     196 * kMiB},
    {"a limit that is none",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/a/memory.max", "\n"}},
     kCodeBudget},
    {"a path that is longer than what can be opened",
     64U << 30U,
     {{"/proc/self/cgroup", "0::/" + std::string(1500, 'a') + "\n"}},
     kCodeBudget},
};

TEST_CASE("the budget is a quarter of what the process may use at all") {
  for (const BudgetRow& row : kBudgets) {
    CAPTURE(row.name);
    FakeKernel kernel;
    kernel.total_memory = row.machine;
    for (const auto& [path, contents] : row.files) {
      kernel.files[path].contents = contents;
    }
    kernel.code = {{0x100000, 100 * kMiB}, {0x10000000, 100 * kMiB}};
    ResidentCode().read_in(kernel);
    CHECK(total_of(kernel, "populate_read") == row.budget);
    CHECK(total_of(kernel, "munlock") == row.evictable);
  }
}

TEST_CASE("what is left evictable once is so in a child and after each call that locks all") {
  FakeKernel kernel;
  kernel.total_memory = 64 * kMiB;
  kernel.code = {{0x100000, 3 * kMiB}, {0x10000000, 40 * kMiB}, {0x20000000, 5 * kMiB}};
  ResidentCode code;
  code.read_in(kernel);
  CHECK(kernel.calls == Calls{populated(0x100000, 3 * kMiB), populated(0x10000000, 13 * kMiB),
                              "munlock(10d00000+1b00000)"});
  kernel.calls.clear();
  code.leave_rest(kernel);
  CHECK(kernel.calls == Calls{"munlock(10d00000+1b00000)"});
}

TEST_CASE("of what is loaded later, too, no more is locked than fits") {
  FakeKernel kernel;
  kernel.total_memory = 64 * kMiB;
  kernel.code = {{0x100000, 30 * kMiB}};
  ResidentCode code;
  code.read_in(kernel);
  kernel.calls.clear();
  kernel.code.emplace_back(0x10000000, 3 * kMiB);
  code.look_for_more(kernel);
  CHECK(kernel.calls == Calls{"mlock2(10000000+300000)", "munlock(10000000+300000)"});
}

TEST_CASE("all stays locked where that is asked for") {
  FakeKernel kernel;
  kernel.total_memory = 64 * kMiB;
  kernel.code = {{0x100000, 100 * kMiB}};
  ResidentCode code;
  code.lock_whole();
  code.read_in(kernel);
  code.leave_rest(kernel);
  CHECK(kernel.calls == Calls{populated(0x100000, 16 * kMiB)});
}

TEST_CASE("little code is read in without a look at any limit") {
  FakeKernel kernel;
  kernel.total_memory = 1;
  kernel.code = {{0x100000, 3 * kMiB}, {0x10000000, kMiB}};
  ResidentCode().read_in(kernel);
  CHECK(kernel.calls == Calls{populated(0x100000, 3 * kMiB), populated(0x10000000, kMiB)});
}

}  // namespace
