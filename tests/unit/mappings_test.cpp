// SPDX-License-Identifier: MIT OR Apache-2.0
// /proc/self/maps: hostile lines, and which mappings are left evictable.
#include "preload/mappings.hpp"

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
  CHECK(mapping->device_major == 0xfd);
  CHECK(mapping->device_minor == 1);
  CHECK(mapping->inode == 1234567);
  CHECK(mapping->path == "/usr/lib/libc.so.6");
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

TEST_CASE("a path is what stands behind the inode, whatever it holds") {
  const auto path_of = [](const std::string& rest) {
    const std::string line = "1000-2000 rw-p 00000000 00:00 7" + rest;
    const auto mapping = parse_mapping(line);
    REQUIRE(mapping);
    return std::string(mapping->path);
  };
  CHECK(path_of("").empty());
  CHECK(path_of("          ").empty());
  CHECK(path_of("      /var/lib/data base (deleted)") == "/var/lib/data base (deleted)");
  CHECK(path_of(" [heap]") == "[heap]");
}

TEST_CASE("a file is told by device and inode") {
  const auto on = [](const char* device, const char* inode) {
    return parse_mapping(std::string("1000-2000 r--p 00000000 ") + device + " " + inode).value();
  };
  const Mapping file = on("01:03", "2");
  CHECK(file.same_file(on("01:03", "2")));
  CHECK_FALSE(file.same_file(on("02:03", "2")));
  CHECK_FALSE(file.same_file(on("01:04", "2")));
  CHECK_FALSE(file.same_file(on("01:03", "3")));
  CHECK_FALSE(on("00:00", "0").same_file(on("00:00", "0")));
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

/// What a maps file of these lines makes the shim unlock, and populate.
Calls left(const std::string& maps, bool populate = false, std::size_t chunk = SIZE_MAX) {
  FakeKernel kernel;
  kernel.files["/proc/self/maps"] = {.contents = maps, .chunk = chunk};
  kernel.swappable_paths = {{"/dev/shm/queue", Answer::yes},
                            {"/data/on-btrfs", Answer::no},
                            {"/usr/lib/libc.so.6", Answer::no}};
  CHECK(leave_data_files(kernel, populate));
  return kernel.calls;
}

std::string line(const char* range, const char* permissions, int inode, const char* name = "",
                 const char* device = "08:01") {
  return std::string(range) + " " + permissions + " 00000000 " + device + " " +
         std::to_string(inode) + "      " + name + "\n";
}

struct Row {
  const char* name;
  std::string maps;
  Calls unlocked;
};

const Row kRows[] = {
    {"a library: code and constants stay locked, in whatever order they are mapped",
     line("1000-2000", "r--p", 7) + line("2000-5000", "r-xp", 7) + line("5000-6000", "r--p", 7) +
         line("6000-7000", "rw-p", 7),
     {}},
    {"a file mapped as data, read-only", line("1000-2000", "r--p", 7), {"munlock(1000+1000)"}},
    {"and shared", line("1000-3000", "r--s", 7), {"munlock(1000+2000)"}},
    {"and written to: it goes back to its own file",
     line("1000-2000", "rw-s", 7),
     {"munlock(1000+1000)"}},
    {"private and written to: what changes is anonymous memory", line("1000-2000", "rw-p", 7), {}},
    {"several mappings of it, one of which may change memory",
     line("1000-2000", "r--p", 7) + line("2000-3000", "rw-p", 7) + line("4000-5000", "---s", 7),
     {"munlock(1000+1000)", "munlock(4000+1000)"}},
    {"data beside a library",
     line("1000-2000", "r--p", 7) + line("2000-3000", "r-xp", 8) + line("3000-4000", "r--p", 9),
     {"munlock(1000+1000)", "munlock(3000+1000)"}},
    {"the same inode on another device is another file",
     line("1000-2000", "r--p", 7) + line("2000-3000", "r-xp", 7, "", "08:02"),
     {"munlock(1000+1000)"}},
    {"memory, heap and stack",
     line("1000-2000", "rw-p", 0) + line("2000-3000", "rw-p", 0, "[heap]") +
         line("3000-4000", "rw-p", 0, "[stack]"),
     {}},
    {"shared memory: tmpfs, memfd, System V, anonymous",
     line("1000-2000", "rw-s", 7, "/dev/shm/queue", "00:19") +
         line("2000-3000", "rw-s", 8, "/memfd:jit (deleted)", "00:01") +
         line("3000-4000", "rw-s", 9, "/SYSV00000000 (deleted)", "00:01") +
         line("4000-5000", "rw-s", 10, "/dev/zero (deleted)", "00:01"),
     {}},
    {"a file system without a block device",
     line("1000-2000", "r--s", 7, "/data/on-btrfs", "00:2a"),
     {"munlock(1000+1000)"}},
    {"a library on it",
     line("1000-2000", "r--p", 7, "/usr/lib/libc.so.6", "00:2a") +
         line("2000-3000", "r-xp", 7, "/usr/lib/libc.so.6", "00:2a"),
     {}},
    {"unknown is not data: a path that leads nowhere any more",
     line("1000-2000", "r--s", 7, "/data/gone (deleted)", "00:2a"),
     {}},
    {"nor one that is longer than what can be asked",
     line("1000-2000", "r--s", 7, ("/" + std::string(600, 'p')).c_str(), "00:2a"),
     {}},
    {"lines that are not the kernel's are passed over",
     "garbage\n" + line("1000-2000", "r--p", 7) + "\n",
     {"munlock(1000+1000)"}},
    {"no newline at the end", "1000-2000 r--s 00000000 08:01 7", {"munlock(1000+1000)"}},
    {"an empty file", "", {}},
};

TEST_CASE("which mappings are left evictable") {
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    CHECK(left(row.maps) == row.unlocked);
    CHECK(left(row.maps, false, 1) == row.unlocked);
  }
}

TEST_CASE("of one file with very many data mappings in a row, the others stay locked") {
  std::string maps;
  for (int i = 1; i <= 20; ++i) {
    std::ostringstream range;
    range << std::hex << 2 * i << "000-" << 2 * i + 1 << "000";
    maps += line(range.str().c_str(), "r--p", 7);
  }
  CHECK(left(maps).size() == 8);
  CHECK(left(maps + line("100000-101000", "r-xp", 7)).empty());
}

TEST_CASE("what is not left is populated where that was asked for") {
  CHECK(left(line("1000-2000", "r--p", 7) + line("2000-3000", "r-xp", 7) +
                 line("3000-4000", "r--s", 8) + line("5000-6000", "rw-p", 0),
             true) ==
        Calls{"mlock(2000+1000)", "mlock(1000+1000)", "munlock(3000+1000)", "mlock(5000+1000)"});
}

TEST_CASE("without /proc nothing is left out, and that is said") {
  FakeKernel kernel;
  CHECK_FALSE(leave_data_files(kernel, false));
  CHECK(kernel.calls.empty());
}

}  // namespace
