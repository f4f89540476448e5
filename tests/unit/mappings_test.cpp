// SPDX-License-Identifier: MIT OR Apache-2.0
// /proc/self/maps: hostile lines, which code is made resident, and where the stack ends.
#include "preload/mappings.hpp"

#include <cerrno>
#include <sstream>
#include <string>
#include <vector>

#include "doctest.hpp"
#include "fake_kernel.hpp"

namespace {

using namespace duende::mlock::preload;
using duende::mlock::test::FakeKernel;
using Calls = std::vector<std::string>;

TEST_CASE("a line of the kernel's") {
  const auto mapping = parse_mapping(
      "7f00dead1000-7f00dead2000 r-xp 0001c000 fd:01 1234567      /usr/lib/libc.so.6");
  REQUIRE(mapping);
  CHECK(mapping->begin == 0x7f00dead1000);
  CHECK(mapping->end == 0x7f00dead2000);
  CHECK(mapping->readable);
  CHECK_FALSE(mapping->writable);
  CHECK(mapping->executable);
  CHECK_FALSE(mapping->shared);
  CHECK(mapping->device == 0xfd'0000'0001);
  CHECK(mapping->inode == 1234567);
  CHECK_FALSE(mapping->main_stack);
}

TEST_CASE("each permission stands for itself") {
  struct Row {
    const char* permissions;
    bool readable, writable, executable, shared;
  };
  constexpr Row kRows[] = {
      {"---p", false, false, false, false}, {"r--p", true, false, false, false},
      {"-w-p", false, true, false, false},  {"--xp", false, false, true, false},
      {"---s", false, false, false, true},  {"rwxs", true, true, true, true},
      {"????", false, false, false, false}, {"xwrp", false, true, false, false},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.permissions);
    const auto mapping =
        parse_mapping("1000-2000 " + std::string(row.permissions) + " 00000000 00:00 0");
    REQUIRE(mapping);
    CHECK(mapping->readable == row.readable);
    CHECK(mapping->writable == row.writable);
    CHECK(mapping->executable == row.executable);
    CHECK(mapping->shared == row.shared);
  }
}

TEST_CASE("the main stack is told by its whole name") {
  const auto is_stack = [](const std::string& name) {
    const auto mapping = parse_mapping("1000-2000 rw-p 00000000 00:00 0" + name);
    return mapping && mapping->main_stack;
  };
  CHECK(is_stack("          [stack]"));
  CHECK(is_stack(" [stack]"));
  CHECK_FALSE(is_stack(""));
  CHECK_FALSE(is_stack(" "));
  CHECK_FALSE(is_stack(" [stack:17]"));
  CHECK_FALSE(is_stack(" [stack] "));
  CHECK_FALSE(is_stack(" /tmp/[stack]"));
  CHECK_FALSE(is_stack(" [heap]"));
}

TEST_CASE("a file is told by device and inode") {
  const Mapping file = {.device = 1, .inode = 2};
  CHECK(file.same_file({.device = 1, .inode = 2}));
  CHECK_FALSE(file.same_file({.device = 2, .inode = 2}));
  CHECK_FALSE(file.same_file({.device = 1, .inode = 3}));
  CHECK_FALSE(Mapping{}.same_file({}));
}

TEST_CASE("a line that is not the kernel's is none") {
  const std::string whole = "1000-2000 r-xp 00000000 08:01 7";
  CHECK(parse_mapping(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_mapping(whole.substr(0, size)));
  }
  for (const char* const line : {
           " 1000-2000 r-xp 00000000 08:01 7",
           "1000 2000 r-xp 00000000 08:01 7",
           "1000-2000r-xp 00000000 08:01 7",
           "1000-2000  r-xp 00000000 08:01 7",
           "1000-2000 r-xpp 00000000 08:01 7",
           "1000-2000 r-x 00000000 08:01 7",
           "1000-2000 r-xp 00000000 0801 7",
           "1000-2000 r-xp 00000000 08:01 x",
           "1000-2000 r-xp 00000000 08:01 -7",
           "-1000-2000 r-xp 00000000 08:01 7",
           "0x1000-2000 r-xp 00000000 08:01 7",
           "1000-200G r-xp 00000000 08:01 7",
           "FFF0-FFFF r-xp 00000000 08:01 7",
           "Size:                  4 kB",
           "VmFlags: rd ex mr mw me",
       }) {
    CAPTURE(line);
    CHECK_FALSE(parse_mapping(line));
  }
}

TEST_CASE("a mapping at the very top keeps its address") {
  const auto vsyscall =
      parse_mapping("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]");
  REQUIRE(vsyscall);
  CHECK(vsyscall->end == 0xffffffffff601000);
}

/// What a maps file of these lines makes the shim read in.
Calls populated(const std::string& maps, std::deque<int> errors = {},
                std::size_t chunk = SIZE_MAX) {
  FakeKernel kernel;
  kernel.files["/proc/self/maps"] = {.contents = maps, .chunk = chunk};
  kernel.populate_errors = std::move(errors);
  make_code_resident(kernel);
  return kernel.calls;
}

std::string line(const char* range, const char* permissions, int inode, const char* name = "") {
  return std::string(range) + " " + permissions + " 00000000 08:01 " + std::to_string(inode) +
         "      " + name + "\n";
}

struct CodeRow {
  const char* name;
  std::string maps;
  Calls calls;
};

const CodeRow kCodeRows[] = {
    {"a library: what touches is one call, the writable data is left out",
     line("1000-2000", "r--p", 7) + line("2000-5000", "r-xp", 7) + line("5000-6000", "r--p", 7) +
         line("6000-7000", "r--p", 7) + line("7000-8000", "rw-p", 7),
     {"populate_read(1000+6000)"}},
    {"a gap makes two",
     line("1000-2000", "r--p", 7) + line("3000-4000", "r-xp", 7) + line("4000-5000", "r--p", 7),
     {"populate_read(1000+1000)", "populate_read(3000+2000)"}},
    {"relocated read-only data behind the writable",
     line("1000-2000", "r-xp", 7) + line("2000-3000", "rw-p", 7) + line("3000-4000", "r--p", 7),
     {"populate_read(1000+1000)", "populate_read(3000+1000)"}},
    {"two libraries that touch are two files",
     line("1000-2000", "r-xp", 7) + line("2000-3000", "r-xp", 8),
     {"populate_read(1000+1000)", "populate_read(2000+1000)"}},
    {"a data file, however it is mapped, is left alone",
     line("1000-2000", "r--p", 7, "/usr/lib/locale/locale-archive") + line("2000-3000", "r--s", 7),
     {}},
    {"a data file beside a library",
     line("1000-2000", "r--p", 7) + line("2000-3000", "r-xp", 8) + line("3000-4000", "r--p", 9),
     {"populate_read(2000+1000)"}},
    {"the same inode on another device is another file",
     "1000-2000 r--p 00000000 08:01 7\n2000-3000 r-xp 00000000 08:02 7\n",
     {"populate_read(2000+1000)"}},
    {"shared and unreadable code cannot be read in", line("1000-2000", "r-xs", 7), {}},
    {"execute-only", line("1000-2000", "--xp", 7), {}},
    {"writable code is dirty, not dropped", line("1000-2000", "rwxp", 7), {}},
    {"code without a file: vdso, a just-in-time compiler", line("1000-2000", "r-xp", 0), {}},
    {"lines that are not the kernel's are passed over",
     "garbage\n" + line("1000-2000", "r-xp", 7) + "\n" + line("2000-3000", "r--p", 7),
     {"populate_read(1000+2000)"}},
    {"a path longer than the buffer",
     line("1000-2000", "r-xp", 7, std::string(5000, 'p').c_str()) + line("2000-3000", "r-xp", 7),
     {"populate_read(1000+2000)"}},
    {"no newline at the end", "1000-2000 r-xp 00000000 08:01 7", {"populate_read(1000+1000)"}},
    {"an empty file", "", {}},
};

TEST_CASE("what a maps file makes resident") {
  for (const CodeRow& row : kCodeRows) {
    CAPTURE(row.name);
    CHECK(populated(row.maps) == row.calls);
    CHECK(populated(row.maps, {}, 1) == row.calls);
  }
}

/// `count` read-only mappings of one file that do not touch, the last one code.
std::string scattered(int count) {
  std::string maps;
  for (int i = 1; i <= count; ++i) {
    std::ostringstream range;
    range << std::hex << 2 * i << "000-" << 2 * i + 1 << "000";
    maps += line(range.str().c_str(), i == count ? "r-xp" : "r--p", 7);
  }
  return maps;
}

TEST_CASE("of very many mappings before the code, the last ones are read in") {
  for (const int count : {1, 7, 8, 9, 20}) {
    CAPTURE(count);
    const Calls calls = populated(scattered(count));
    REQUIRE_FALSE(calls.empty());
    CHECK(calls.size() <= 9);
    CHECK((count > 9 || calls.size() == static_cast<std::size_t>(count)));
    std::ostringstream last;
    last << "populate_read(" << std::hex << 2 * count << "000+1000)";
    CHECK(calls.back() == last.str());
  }
}

TEST_CASE("of very many mappings after the code, all are read in") {
  std::string maps = line("1000-2000", "r-xp", 7);
  for (int i = 2; i <= 30; ++i) {
    std::ostringstream range;
    range << std::hex << 2 * i << "000-" << 2 * i + 1 << "000";
    maps += line(range.str().c_str(), "r--p", 7);
  }
  CHECK(populated(maps).size() == 30);
}

TEST_CASE("a kernel without MADV_POPULATE_READ is asked once, any other errno is passed over") {
  const std::string maps = line("1000-2000", "r-xp", 7) + line("3000-4000", "r-xp", 8) +
                           line("5000-6000", "r-xp", 9) + line("7000-8000", "r--p", 9);
  CHECK(populated(maps, {EINVAL}).size() == 1);
  CHECK(populated(maps, {0, EINVAL}).size() == 2);
  CHECK(populated(maps, {ENOMEM, EFAULT, EHWPOISON}).size() == 4);
}

TEST_CASE("without /proc nothing is made resident") {
  FakeKernel kernel;
  make_code_resident(kernel);
  CHECK(kernel.calls.empty());
}

struct StackRow {
  const char* name;
  std::string maps;
  bool released;
  const char* begin;
};

const StackRow kStackRows[] = {
    {"a stack by itself", line("1000-2000", "rw-p", 0) + line("9000-b000", "rw-p", 0, "[stack]"),
     true, "9000"},
    {"what follows does not matter",
     line("9000-b000", "rw-p", 0, "[stack]") + line("c000-d000", "r--p", 0, "[vvar]"), true,
     "9000"},
    // In a child, what the parent released is a mapping of its own.
    {"split by an earlier release",
     line("9000-a000", "rw-p", 0) + line("a000-c000", "rw-p", 0, "[stack]"), true, "9000"},
    {"split twice",
     line("8000-9000", "rw-p", 0) + line("9000-a000", "rw-p", 0) +
         line("a000-c000", "rw-p", 0, "[stack]"),
     true, "8000"},
    {"a file's mapping that touches is not the stack's",
     line("8000-9000", "r--p", 7) + line("9000-b000", "rw-p", 0, "[stack]"), true, "9000"},
    {"a file's mapping below a split stack",
     line("8000-9000", "r--p", 7) + line("9000-a000", "rw-p", 0) +
         line("a000-c000", "rw-p", 0, "[stack]"),
     true, "9000"},
    {"no stack", line("1000-2000", "rw-p", 0, "[heap]"), false, ""},
    {"a thread's stack of old kernels", line("1000-2000", "rw-p", 0, "[stack:12]"), false, ""},
    {"an empty file", "", false, ""},
};

TEST_CASE("the lowest page of the main stack is released") {
  for (const StackRow& row : kStackRows) {
    CAPTURE(row.name);
    FakeKernel kernel;
    kernel.files["/proc/self/maps"].contents = row.maps;
    std::ostringstream call;
    call << "munlock(" << row.begin << "+" << std::hex << page_size() << ")";
    CHECK(GrowingStack().release(kernel) == row.released);
    CHECK(kernel.calls == (row.released ? Calls{call.str()} : Calls{}));
  }
}

std::string on_page(const char* call, std::uintptr_t page, bool sized) {
  std::ostringstream text;
  text << call << '(' << std::hex << page;
  if (sized) {
    text << '+' << page_size();
  }
  text << ')';
  return text.str();
}
std::string munlock(std::uintptr_t page) { return on_page("munlock", page, true); }
std::string set_apart(std::uintptr_t page) { return on_page("set_apart", page, false); }

TEST_CASE("from the second release on, the stack is followed down without /proc") {
  const std::uintptr_t page = page_size();
  const std::uintptr_t lowest = 0x900000;
  FakeKernel kernel;
  kernel.files["/proc/self/maps"].contents = line("900000-b00000", "rw-p", 0, "[stack]");
  GrowingStack stack;
  REQUIRE(stack.release(kernel));
  kernel.files.clear();

  SUBCASE("not grown: set apart once, and released each time") {
    REQUIRE(stack.release(kernel));
    REQUIRE(stack.release(kernel));
    CHECK(kernel.calls ==
          Calls{munlock(lowest), set_apart(lowest), munlock(lowest), munlock(lowest)});
  }
  SUBCASE("grown: its new lowest page, once more when it grows again") {
    kernel.mapped = {lowest - page, lowest - 2 * page};
    REQUIRE(stack.release(kernel));
    REQUIRE(stack.release(kernel));
    kernel.mapped.insert(lowest - 3 * page);
    REQUIRE(stack.release(kernel));
    const auto second = lowest - 2 * page;
    const auto third = lowest - 3 * page;
    CHECK(kernel.calls == Calls{munlock(lowest), set_apart(second), munlock(second),
                                munlock(second), set_apart(third), munlock(third)});
  }
  SUBCASE("refused") {
    kernel.munlock_error = ENOMEM;
    CHECK_FALSE(stack.release(kernel));
  }
}

TEST_CASE("a stack that was not found is looked for again") {
  FakeKernel kernel;
  GrowingStack stack;
  CHECK_FALSE(stack.release(kernel));
  kernel.files["/proc/self/maps"].contents = line("900000-b00000", "rw-p", 0, "[stack]");
  CHECK(stack.release(kernel));
}

TEST_CASE("a release that is refused is said") {
  FakeKernel kernel;
  kernel.files["/proc/self/maps"].contents = line("9000-b000", "rw-p", 0, "[stack]");
  kernel.munlock_error = ENOMEM;
  CHECK_FALSE(GrowingStack().release(kernel));
}

TEST_CASE("without /proc the stack is not found") {
  FakeKernel kernel;
  CHECK_FALSE(GrowingStack().release(kernel));
}

}  // namespace
