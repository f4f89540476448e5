// SPDX-License-Identifier: MIT OR Apache-2.0
// The command's parsers: ELF headers, unit files, /proc.
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>

#include <doctest/doctest.h>

#include "preload/command/elf.hpp"
#include "preload/command/file.hpp"
#include "preload/command/process.hpp"
#include "preload/command/unit.hpp"

using namespace duende::mlock::command;

namespace {

/// A 64-bit header, and program headers of these types behind it.
std::string elf_file(std::initializer_list<unsigned> types) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(types.size());
  std::string file(reinterpret_cast<const char*>(&header), sizeof header);
  const std::string_view loader = "/lib/ld.so";
  for (const unsigned type : types) {
    Elf64_Phdr segment = {};
    segment.p_type = type;
    segment.p_offset = sizeof header + types.size() * sizeof segment;
    segment.p_filesz = loader.size() + 1;
    file.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  }
  return file.append(loader).append(1, '\0');
}

TEST_CASE("an ELF file is static, static-pie or dynamic") {
  CHECK(parse_elf(elf_file({PT_LOAD}))->linking == Linking::is_static);
  CHECK(parse_elf(elf_file({PT_LOAD, PT_DYNAMIC}))->linking == Linking::static_pie);
  const auto dynamic = parse_elf(elf_file({PT_DYNAMIC, PT_INTERP, PT_LOAD}));
  CHECK(dynamic->linking == Linking::dynamic);
  CHECK(dynamic->interpreter == "/lib/ld.so");
  CHECK(architecture(*dynamic) == "x86-64 (64 bits, little endian)");
}

TEST_CASE("a file is read as far as a tool has moved its headers") {
  char folder[] = "/tmp/command_test.XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/moved";
  for (const std::size_t gap : {0, 4000, 4096, 100'000}) {
    std::string file = elf_file({PT_INTERP});
    file.insert(sizeof(Elf64_Ehdr), gap, '\0');
    const std::uint64_t table = sizeof(Elf64_Ehdr) + gap;
    const std::uint64_t loader = table + sizeof(Elf64_Phdr);
    std::memcpy(file.data() + offsetof(Elf64_Ehdr, e_phoff), &table, sizeof table);
    std::memcpy(file.data() + table + offsetof(Elf64_Phdr, p_offset), &loader, sizeof loader);
    REQUIRE(write_file(path, file, 0600));
    CHECK(read_elf(path)->interpreter == "/lib/ld.so");
  }
  ::unlink(path.c_str());
  ::rmdir(folder);
}

TEST_CASE("what is no ELF file, or ends too early, is taken as it comes") {
  CHECK_FALSE(parse_elf(""));
  CHECK_FALSE(parse_elf("#!/bin/sh"));
  const std::string whole = elf_file({PT_INTERP});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto facts = parse_elf(std::string_view(whole).substr(0, size));
    CHECK(facts.has_value() == (size >= sizeof(Elf32_Ehdr)));
  }
  std::string far = whole;
  std::memset(far.data() + offsetof(Elf64_Ehdr, e_phoff), 0xff, 8);
  CHECK(parse_elf(far)->linking == Linking::is_static);
}

TEST_CASE("the build id is among the notes, of which any may be cut off") {
  std::string file = elf_file({PT_NOTE});
  const std::size_t notes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
  const auto note = [](unsigned type, std::string name, const std::string& description) {
    name.push_back('\0');
    const unsigned header[] = {static_cast<unsigned>(name.size()),
                               static_cast<unsigned>(description.size()), type};
    name.resize((name.size() + 3) / 4 * 4);
    return std::string(reinterpret_cast<const char*>(header), sizeof header) + name + description;
  };
  file.resize(notes);
  file += note(NT_GNU_ABI_TAG, "GNU", "1234") + note(NT_GNU_BUILD_ID, "other", "1234") +
          note(NT_GNU_BUILD_ID, "GNU", std::string("\x01\xfe\x30", 3));
  const Elf64_Xword size = file.size() - notes;
  std::memcpy(file.data() + sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), &size,
              sizeof size);
  CHECK(parse_build_id(file) == "01fe30");
  CHECK(parse_build_id(elf_file({PT_LOAD})).empty());
  for (std::size_t length = 0; length < file.size(); ++length) {
    const std::string id = parse_build_id(std::string_view(file).substr(0, length));
    CHECK((id.empty() || std::string_view("01fe30").starts_with(id)));
  }
}

TEST_CASE("assignments of the section [Service], with lines joined") {
  const auto assignments = parse_unit(
      "[Unit]\nUser=not-this\n[Service]\n# User=nor-this\n User = nobody \n"
      "ExecStart=/bin/a \\\n  b\n;x=y\nEmpty=\n[Install]\nUser=nor-that\n");
  REQUIRE(assignments.size() == 3);
  CHECK(assignments[0].key == "User");
  CHECK(assignments[0].value == "nobody");
  CHECK(assignments[1].value == "/bin/a    b");
  CHECK(assignments[2].key == "Empty");
  CHECK(assignments[2].value.empty());
}

TEST_CASE("words of a unit, with quotes and backslashes") {
  CHECK(unit_words("a  b") == Words{"a", "b"});
  CHECK(unit_words("\"A=b c\" 'D=\\e' f\\ g") == Words{"A=b c", "D=\\e", "f g"});
  CHECK(unit_words("\"\" x") == Words{"", "x"});
  CHECK(unit_words("\"open").size() == 1);
  CHECK(unit_words(" ").empty());
}

TEST_CASE("sizes of a unit") {
  CHECK(parse_unit_size("64K")->bytes == 65536);
  CHECK(parse_unit_size("1G")->bytes == std::uint64_t{1} << 30);
  CHECK(parse_unit_size("7")->bytes == 7);
  CHECK(parse_unit_size("infinity")->infinite);
  for (const char* const wrong : {"", "K", "-1", "1X", "1 K", "99999999999999999999"}) {
    CHECK_FALSE(parse_unit_size(wrong));
  }
}

TEST_CASE("/proc/PID/status, with a name that looks like another line") {
  const auto status = parse_status(
      "Name:\ta\\nVmLck:\\\\ 7 \nState:\tS (sleeping)\nPPid:\t12\nVmLck:\t     816 kB\n"
      "VmSwap:\t 4 kB\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n");
  CHECK(status.name == "a\nVmLck:\\ 7 ");
  CHECK(status.state == 'S');
  CHECK(status.parent == 12);
  CHECK(status.charged == 816 * 1024);
  CHECK(status.swapped == 4096);
  CHECK_FALSE(status.size);
  CHECK(status.effective == 0x1ffffffffff);
  CHECK(status.seccomp == 2);
}

bool never_asked(std::string_view path) {
  FAIL("asked of " << path);
  return false;
}

TEST_CASE("/proc/PID/smaps: what is locked, how, and what cannot be") {
  const auto mappings = parse_smaps(
      "55d0-55d1 r--p 00000000 fe:00 1 /usr/bin/a b\nRss: 4 kB\nVmFlags: rd mr lo lf \n"
      "55d1-55d2 rw-p 00000000 00:00 0 [heap]\nRss: 8 kB\nVmFlags: rd wr lo \n"
      "7f00-7f01 r-xp 00000000 fe:00 2 /x/libduende_mlock_preload.so (deleted)\nRss: 12 kB\n"
      "VmFlags: rd ex mr \n"
      "7ffe-7fff r--p 00000000 00:00 0 [vvar]\nRss: 16 kB\nVmFlags: rd io de dd \n"
      "ffff-fffe --xp 00000000 00:00 0 [vsyscall]\nRss: 20 kB\nVmFlags: ex \n",
      never_asked);
  CHECK(mappings.locked == 2);
  CHECK(mappings.on_fault == 1);
  CHECK(mappings.open == 0);
  CHECK(mappings.evictable_size == 12 * 1024);
  CHECK(mappings.library);
  CHECK_FALSE(parse_smaps("", never_asked).known());
}

TEST_CASE("/proc/PID/smaps: what is not locked can be swapped, or comes back from its file") {
  struct Row {
    const char* head;
    const char* anonymous;
    bool open;
  };
  const Row rows[] = {
      {"r--s 00000000 fe:00 7 /data/base", "0", false},
      {"rw-s 00000000 fe:00 7 /data/base", "0", false},
      {"rw-p 00000000 fe:00 7 /data/base", "0", true},
      {"r--p 00000000 fe:00 7 /lib/relro.so", "4", true},
      {"r-xp 00000000 00:2f 7 /on/overlay with blanks", "0", false},
      {"rw-s 00000000 00:2f 7 /dev/shm/a", "0", true},
      {"rw-s 00000000 00:01 7 /memfd:x (deleted)", "0", true},
      {"rw-p 00000000 00:00 0 ", "8", true},
      {"rw-p 00000000 00:00 0 [heap]", "8", true},
      {"r--p", "0", true},  // as no kernel writes it
  };
  for (const Row& row : rows) {
    CAPTURE(row.head);
    const std::string text = std::string("7f00-7f01 ") + row.head +
                             "\nRss: 8 kB\nAnonymous: " + row.anonymous + " kB\nVmFlags: rd mr \n";
    const auto mappings =
        parse_smaps(text, [](std::string_view path) { return path == "/on/overlay with blanks"; });
    CHECK(mappings.open == (row.open ? 1 : 0));
    CHECK(mappings.open_size == (row.open ? 8 * 1024 : 0));
    CHECK(mappings.evictable_size == (row.open ? 0 : 8 * 1024));
  }
}

TEST_CASE("the library among mappings is no file that only ends like it") {
  CHECK(maps_library("a /usr/lib/libduende_mlock_preload.so\n"));
  CHECK_FALSE(maps_library("a /usr/lib/notlibduende_mlock_preload.so\n"));
  CHECK_FALSE(maps_library("a /libduende_mlock_preload.so.bak\n"));
}

TEST_CASE("descendants, children and theirs, and nobody else") {
  Processes processes;
  for (const auto& [pid, parent] : {std::pair(2, 1), {3, 2}, {4, 3}, {5, 1}}) {
    processes[pid].parent = parent;
  }
  const Offspring offspring = offspring_of(processes);
  CHECK(descendants_of(2, offspring) == std::vector<pid_t>{3, 4});
  CHECK(descendants_of(5, offspring).empty());
}

}  // namespace
