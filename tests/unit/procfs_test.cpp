// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading /proc line by line, whatever the reads and the lines look like.
#include <duende/mlock/detail/procfs.hpp>

#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using duende::mlock::detail::kib_field;
using duende::mlock::detail::LineReader;
using duende::mlock::detail::read_memory_use;
using duende::mlock::test::FakeKernel;

using Lines = std::vector<std::string>;

constexpr std::size_t kBuffer = 1024;  // of LineReader
constexpr const char* kPath = "/proc/self/maps";

/// At most so many: a reader that does not advance is a failure, not a hang.
Lines read_all(const FakeKernel& kernel) {
  LineReader reader(kernel, kPath);
  Lines lines;
  while (const auto line = reader.next()) {
    lines.emplace_back(*line);
    REQUIRE(lines.size() < 10000);
  }
  CHECK_FALSE(reader.next());
  return lines;
}

/// What the reader should answer, the simple way.
Lines split(const std::string& contents) {
  Lines lines;
  for (std::size_t begin = 0; begin < contents.size();) {
    const std::size_t end = std::min(contents.find('\n', begin), contents.size());
    lines.push_back(contents.substr(begin, std::min(end - begin, kBuffer)));
    begin = end + 1;
  }
  return lines;
}

TEST_CASE("lines come one by one, long ones cut, however the file is read") {
  const std::string a(kBuffer - 1, 'a');
  const std::string b(kBuffer, 'b');
  const std::string c(kBuffer + 1, 'c');
  const std::string d(5 * kBuffer, 'd');
  const std::string contents[] = {
      "",
      "\n",
      "\n\n\n",
      "one",
      "one\n",
      "one\ntwo\nthree",
      "\none\n\ntwo\n",
      std::string("a\0b\nc", 5),
      a + "\nnext\n",
      b + "\nnext\n",
      c + "\nnext\n",
      d + "\nnext\n",
      a,
      b,
      c,
      d,
      d + "\n" + d + "\n" + d,
      "short\n" + b + "\n" + c + "\n\n" + a + "\nlast",
      b + "\n" + b + "\n" + b + "\n",
      d + "\n\n\nlast",
  };
  for (const std::string& text : contents) {
    for (const std::size_t chunk : {1U, 2U, 7U, 512U, 1023U, 1024U, 1025U, 100000U}) {
      CAPTURE(text.size());
      CAPTURE(chunk);
      FakeKernel kernel;
      kernel.files[kPath] = {.contents = text, .chunk = chunk};
      CHECK(read_all(kernel) == split(text));
    }
  }
}

TEST_CASE("a file that is not there has no lines") {
  FakeKernel kernel;
  LineReader reader(kernel, kPath);
  CHECK_FALSE(reader.is_open());
  CHECK_FALSE(reader.next());
  CHECK_FALSE(reader.next());
}

TEST_CASE("a file that vanishes half-way ends there") {
  FakeKernel kernel;
  kernel.files[kPath] = {.contents = "one\ntwo\nthree\n", .chunk = 3, .vanishes_after = 6};
  CHECK(read_all(kernel) == Lines{"one", "tw"});
}

constexpr auto kNone = std::optional<std::size_t>();
static_assert(kib_field("VmLck:\t     512 kB", "VmLck:") == 512 * 1024U);
static_assert(kib_field("VmLck: 0 kB", "VmLck:") == 0U);
static_assert(kib_field("VmLck:7", "VmLck:") == 7 * 1024U);
static_assert(kib_field("VmLck:", "VmLck:") == kNone);
static_assert(kib_field("VmLck: \t", "VmLck:") == kNone);
static_assert(kib_field("VmLck: -1 kB", "VmLck:") == kNone);
static_assert(kib_field("VmLck: kB", "VmLck:") == kNone);
static_assert(kib_field("VmLc", "VmLck:") == kNone);
static_assert(kib_field("", "VmLck:") == kNone);
static_assert(kib_field("VmSize: 1 kB", "VmLck:") == kNone);
static_assert(kib_field("XVmLck: 1 kB", "VmLck:") == kNone);

TEST_CASE("a figure too large for bytes saturates") {
  // 2^54 KiB would wrap to 0, which means "nothing is locked".
  CHECK(kib_field("VmLck: 18014398509481984 kB", "VmLck:").value() > SIZE_MAX / 2);
  CHECK(kib_field("VmLck: 99999999999999999999999 kB", "VmLck:").value() > SIZE_MAX / 2);
}

struct StatusRow {
  const char* name;
  std::string contents;
  bool found;
  std::size_t address_space;
  std::size_t locked;
  std::size_t swapped = 0;
};

const StatusRow kStatusRows[] = {
    {"as the kernel writes it", "Name:\tx\nVmPeak:\t9 kB\nVmSize:\t    8 kB\nVmLck:\t   4 kB\n",
     true, 8192, 4096},
    {"swapped out", "VmSize:\t8 kB\nVmLck:\t4 kB\nVmRSS:\t5 kB\nVmSwap:\t2 kB\nThreads:\t1\n", true,
     8192, 4096, 2048},
    {"nothing locked", "VmSize:\t8 kB\nVmLck:\t0 kB\n", true, 8192, 0},
    {"no newline at the end", "VmSize:\t8 kB\nVmLck:\t4 kB", true, 8192, 4096},
    {"a long line of groups before",
     "Groups:\t" + std::string(9000, '1') + "\nVmSize:\t8 kB\nVmLck:\t4 kB\n", true, 8192, 4096},
    {"a name that looks like the figure", "Name:\tVmLck:\nVmSize:\t8 kB\nVmLck:\t4 kB\n", true,
     8192, 4096},
    {"a kernel thread has neither", "Name:\tx\nState:\tR\n", false, 0, 0},
    {"no number", "VmSize:\t8 kB\nVmLck:\t kB\n", false, 0, 0},
    {"empty", "", false, 0, 0},
};

TEST_CASE("the figures of /proc/self/status") {
  for (const StatusRow& row : kStatusRows) {
    for (const std::size_t chunk : {1U, 4096U}) {
      CAPTURE(row.name);
      CAPTURE(chunk);
      FakeKernel kernel;
      kernel.files["/proc/self/status"] = {.contents = row.contents, .chunk = chunk};
      const auto use = read_memory_use(kernel);
      REQUIRE(use.has_value() == row.found);
      CHECK((row.found ? use->address_space : 0) == row.address_space);
      CHECK((row.found ? use->locked : 0) == row.locked);
      CHECK((row.found ? use->swapped : 0) == row.swapped);
    }
  }
}

TEST_CASE("without /proc there are no figures") {
  FakeKernel kernel;
  CHECK_FALSE(read_memory_use(kernel));
}

}  // namespace
