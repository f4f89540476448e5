// SPDX-License-Identifier: MIT OR Apache-2.0
#include "elf.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "file.hpp"

namespace duende::mlock::command {

namespace {

/// Numbers in the byte order of the file; 0 beyond the end of what there is of it.
class Fields {
 public:
  Fields(std::string_view file, bool little_endian) noexcept
      : file_(file), little_endian_(little_endian) {}

  [[nodiscard]] std::uint64_t at(std::uint64_t offset, std::size_t size) const noexcept {
    if (!has(offset, size)) {
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
    return has(offset, size) || offset <= file_.size() ? file_.substr(offset, size) : "";
  }
  /// Whether something would have been beyond the end.
  [[nodiscard]] bool more() const noexcept { return more_; }

 private:
  [[nodiscard]] bool has(std::uint64_t offset, std::uint64_t size) const noexcept {
    const bool here = offset <= file_.size() && size <= file_.size() - offset;
    more_ |= !here;
    return here;
  }

  mutable bool more_ = false;
  std::string_view file_;
  bool little_endian_;
};

/// A program header, and where what it describes is. Sizes and places are of elf(5).
struct Segment {
  std::uint64_t type;
  std::uint64_t place;
  std::uint64_t size;
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
    visit(Segment{fields.at(header, 4), place, length});
  }
}

/// How it is linked, as the program headers say.
void read_segments(ElfFacts& facts, const Fields& fields) {
  visit_segments(fields, facts.bits == 64, [&](const Segment& segment) {
    if (segment.type == PT_DYNAMIC && facts.linking == Linking::is_static) {
      facts.linking = Linking::static_pie;
    } else if (segment.type == PT_INTERP) {
      facts.linking = Linking::dynamic;
      const std::string_view path = fields.text(segment.place, segment.size);
      facts.interpreter = path.substr(0, path.find('\0'));
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

struct Parsed {
  std::optional<ElfFacts> facts;
  bool more = false;
};
Parsed parse(std::string_view file) {
  if (file.size() < sizeof(Elf32_Ehdr) || !file.starts_with(ELFMAG)) {
    return {};
  }
  ElfFacts facts;
  facts.bits = file[EI_CLASS] == ELFCLASS32 ? 32 : 64;
  facts.little_endian = file[EI_DATA] == ELFDATA2LSB;
  const Fields fields(file, facts.little_endian);
  facts.machine = static_cast<unsigned>(fields.at(18, 2));
  read_segments(facts, fields);
  return {facts, fields.more()};
}

}  // namespace

std::optional<ElfFacts> parse_elf(std::string_view file) { return parse(file).facts; }

std::string parse_build_id(std::string_view file) {
  const auto facts = parse_elf(file);
  std::string id;
  if (facts) {
    const Fields fields(file, facts->little_endian);
    visit_segments(fields, facts->bits == 64, [&](const Segment& segment) {
      if (segment.type == PT_NOTE && id.empty()) {
        id = build_id_among(fields.text(segment.place, segment.size), facts->little_endian);
      }
    });
  }
  return id;
}

std::optional<ElfFacts> read_elf(const std::string& path) {
  const auto status = status_of(path);
  const Descriptor file = open_file(path, O_RDONLY);
  if (!file.is_open() || !status || !S_ISREG(status->st_mode)) {
    return std::nullopt;
  }
  // All of it is in the beginning, but where a tool has moved it.
  char beginning[4096];
  const ssize_t length = ::read(file.number(), beginning, sizeof beginning);
  const Parsed parsed = parse({beginning, static_cast<std::size_t>(std::max<ssize_t>(length, 0))});
  const auto size = static_cast<std::size_t>(status->st_size);
  if (!parsed.more || size <= sizeof beginning) {
    return parsed.facts;
  }
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
