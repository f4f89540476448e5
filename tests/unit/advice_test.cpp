// SPDX-License-Identifier: MIT OR Apache-2.0
// Advice that a lock refuses: which calls stand for it, on kernels new and old.
#include "preload/advice.hpp"

#include <sys/mman.h>
#include <cerrno>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

constexpr int kDontneedLocked = 24;

struct Row {
  const char* name;
  int advice;
  std::set<int> unknown = {};   // advice that this kernel does not know
  std::deque<int> errors = {};  // of the calls of madvise with a length, in order
  int answer = 0;
  Calls calls;  // without those that only ask whether an advice is known
};

const Row kRows[] = {
    {.name = "DONTNEED, Linux 5.18",
     .advice = MADV_DONTNEED,
     .calls = {"madvise(10000+20000, 24)"}},
    {.name = "DONTNEED before",
     .advice = MADV_DONTNEED,
     .unknown = {kDontneedLocked},
     .calls = {"munlock(10000+20000)", "madvise(10000+20000, 4)", "mlock2(10000+20000)"}},
    {.name = "DONTNEED of what nobody may give back: locked again, and the errno kept",
     .advice = MADV_DONTNEED,
     .unknown = {kDontneedLocked},
     .errors = {EINVAL},
     .answer = EINVAL,
     .calls = {"munlock(10000+20000)", "madvise(10000+20000, 4)", "mlock2(10000+20000)"}},
    {.name = "FREE of anonymous memory, as one page of it tells",
     .advice = 8,
     .calls = {"munlock(10000+PAGE)", "madvise(10000+PAGE, 8)", "mlock2(10000+PAGE)",
               "madvise(10000+20000, 24)"}},
    {.name = "FREE of a file: refused, and nothing is lost",
     .advice = 8,
     .errors = {EINVAL},
     .answer = EINVAL,
     .calls = {"munlock(10000+PAGE)", "madvise(10000+PAGE, 8)", "mlock2(10000+PAGE)"}},
    {.name = "FREE before Linux 4.5", .advice = 8, .unknown = {8}, .answer = EINVAL, .calls = {}},
    {.name = "REMOVE",
     .advice = MADV_REMOVE,
     .calls = {"munlock(10000+20000)", "madvise(10000+20000, 9)", "mlock2(10000+20000)"}},
    {.name = "REMOVE of what is not shared memory",
     .advice = MADV_REMOVE,
     .errors = {EACCES},
     .answer = EACCES,
     .calls = {"munlock(10000+20000)", "madvise(10000+20000, 9)", "mlock2(10000+20000)"}},
    {.name = "COLD leads to swap", .advice = 20, .calls = {}},
    {.name = "PAGEOUT leads to swap", .advice = 21, .calls = {}},
    {.name = "COLD before Linux 5.4", .advice = 20, .unknown = {20}, .answer = EINVAL, .calls = {}},
    {.name = "what no lock refuses", .advice = MADV_WILLNEED, .answer = EINVAL, .calls = {}},
    {.name = "no advice at all", .advice = 999, .unknown = {999}, .answer = EINVAL, .calls = {}},
};

/// Whether an advice is known, and whether it is refused by a lock.
void forget_questions(FakeKernel& kernel) {
  std::erase_if(kernel.calls, [](const std::string& call) {
    return call.find("madvise(10000,") != std::string::npos || call.find(", 20)") != call.npos;
  });
}

TEST_CASE("what was not locked is not locked after it, and refused as without the library") {
  for (const int advice : {MADV_REMOVE, 8}) {
    FakeKernel kernel;
    kernel.advise_errors = {EINVAL};
    CHECK(advise_locked(kernel, 0x10000, 0x20000, advice) == EINVAL);
    forget_questions(kernel);
    CHECK(kernel.calls.size() == 1);
  }
}

TEST_CASE("advice has the effect that it has without a lock") {
  const auto page = [] {
    std::ostringstream size;
    size << std::hex << page_size();
    return size.str();
  }();
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    FakeKernel kernel;
    kernel.unknown_advice = row.unknown;
    kernel.advise_errors = row.errors;
    kernel.locked = true;
    CHECK(advise_locked(kernel, 0x10000, 0x20000, row.advice) == row.answer);
    forget_questions(kernel);
    Calls calls = row.calls;
    for (std::string& call : calls) {
      if (const auto at = call.find("PAGE"); at != std::string::npos) {
        call.replace(at, 4, page);
      }
    }
    CHECK(kernel.calls == calls);
  }
}

TEST_CASE("a beginning inside of a page is nobody's lock") {
  FakeKernel kernel;
  CHECK(advise_locked(kernel, 0x10001, 0x20000, MADV_DONTNEED) == EINVAL);
  CHECK(kernel.calls.empty());
}

}  // namespace
