// SPDX-License-Identifier: MIT OR Apache-2.0
#include "elf.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "file.hpp"

namespace duende::mlock::command {

namespace {

/// Numbers in the byte order of the file; 0 beyond its end.
class Fields {
 public:
  Fields(std::string_view file, bool little_endian) noexcept
      : file_(file), little_endian_(little_endian) {}

  [[nodiscard]] std::uint64_t at(std::uint64_t offset, std::size_t size) const noexcept {
    if (offset > file_.size() || size > file_.size() - offset) {
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t byte = little_endian_ ? size - 1 - i : i;
      value = value << 8 | static_cast<unsigned char>(file_[offset + byte]);
    }
    return value;
  }
  [[nodiscard]] std::string_view text(std::uint64_t offset, std::uint64_t size) const noexcept {
    return offset > file_.size() ? "" : file_.substr(offset, size);
  }

 private:
  std::string_view file_;
  bool little_endian_;
};

/// A program header, and what it describes. Sizes and places are of elf(5).
struct Segment {
  std::uint64_t type;
  std::string_view contents;
};

/// Calls `visit` with each.
template <class Visit>
void visit_segments(const Fields& fields, bool wide, Visit visit) {
  const std::uint64_t table = wide ? fields.at(32, 8) : fields.at(28, 4);
  const std::uint64_t size = fields.at(wide ? 54 : 42, 2);
  const std::uint64_t count = fields.at(wide ? 56 : 44, 2);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t header = table + i * size;
    const auto place = wide ? fields.at(header + 8, 8) : fields.at(header + 4, 4);
    const auto length = wide ? fields.at(header + 32, 8) : fields.at(header + 16, 4);
    visit(Segment{fields.at(header, 4), fields.text(place, length)});
  }
}

/// How it is linked, as the program headers say.
void read_segments(ElfFacts& facts, const Fields& fields) {
  visit_segments(fields, facts.bits == 64, [&](const Segment& segment) {
    if (segment.type == PT_DYNAMIC && facts.linking == Linking::is_static) {
      facts.linking = Linking::static_pie;
    } else if (segment.type == PT_INTERP) {
      facts.linking = Linking::dynamic;
      facts.interpreter = segment.contents.substr(0, segment.contents.find('\0'));
    }
  });
}

std::string hexadecimal(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    out += format("{:02x}", static_cast<unsigned char>(byte));
  }
  return out;
}

/// The build id among the notes of a segment: three numbers, a name and a description each.
std::string build_id_among(std::string_view notes, bool little_endian) {
  constexpr std::uint64_t kHeader = 12;
  const auto padded = [](std::uint64_t size) { return (size + 3) / 4 * 4; };
  const Fields fields(notes, little_endian);
  for (std::uint64_t at = 0; at + kHeader <= notes.size();) {
    const std::uint64_t name = fields.at(at, 4);
    const std::uint64_t description = fields.at(at + 4, 4);
    const std::uint64_t begin = at + kHeader + padded(name);
    if (fields.at(at + 8, 4) == NT_GNU_BUILD_ID &&
        fields.text(at + kHeader, name) == std::string_view(ELF_NOTE_GNU, sizeof ELF_NOTE_GNU)) {
      return hexadecimal(fields.text(begin, description));
    }
    at = begin + padded(description);
  }
  return "";
}

std::string machine_name(unsigned machine) {
  switch (machine) {
    case EM_386: return "i386";
    case EM_MIPS: return "MIPS";
    case EM_PPC: return "PowerPC";
    case EM_PPC64: return "PowerPC64";
    case EM_S390: return "S/390";
    case EM_ARM: return "ARM";
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "AArch64";
    case EM_RISCV: return "RISC-V";
    case 258: return "LoongArch";
    default: return format("ELF machine {}", machine);
  }
}

}  // namespace

std::optional<ElfFacts> parse_elf(std::string_view file) {
  if (file.size() < sizeof(Elf32_Ehdr) || !file.starts_with(ELFMAG)) {
    return std::nullopt;
  }
  ElfFacts facts;
  facts.bits = file[EI_CLASS] == ELFCLASS32 ? 32 : 64;
  facts.little_endian = file[EI_DATA] == ELFDATA2LSB;
  const Fields fields(file, facts.little_endian);
  facts.machine = static_cast<unsigned>(fields.at(18, 2));
  read_segments(facts, fields);
  return facts;
}

std::string parse_build_id(std::string_view file) {
  const auto facts = parse_elf(file);
  std::string id;
  if (facts) {
    const Fields fields(file, facts->little_endian);
    visit_segments(fields, facts->bits == 64, [&](const Segment& segment) {
      if (segment.type == PT_NOTE && id.empty()) {
        id = build_id_among(segment.contents, facts->little_endian);
      }
    });
  }
  return id;
}

std::optional<ElfFacts> read_elf(const std::string& path) {
  const auto status = status_of(path);
  const Descriptor file = open_file(path, O_RDONLY);
  if (!file.is_open() || !status || !S_ISREG(status->st_mode) || status->st_size <= 0) {
    return std::nullopt;
  }
  const auto size = static_cast<std::size_t>(status->st_size);
  void* const bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
  if (bytes == MAP_FAILED) {
    return std::nullopt;
  }
  auto facts = parse_elf({static_cast<const char*>(bytes), size});
  ::munmap(bytes, size);
  return facts;
}

std::string architecture(const ElfFacts& facts) {
  return format("{} ({} bits, {} endian)", machine_name(facts.machine), facts.bits,
                facts.little_endian ? "little" : "big");
}

}  // namespace duende::mlock::command
