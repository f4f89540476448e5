// SPDX-License-Identifier: MIT OR Apache-2.0
// What the header of an ELF file says of it: elf(5).
#pragma once

#include <cstdint>

#include "text.hpp"

namespace duende::mlock::command {

enum class Linking : unsigned char { is_static, static_pie, dynamic };

struct ElfFacts {
  int bits = 0;  // 32 or 64
  bool little_endian = false;
  unsigned machine = 0;
  Linking linking = Linking::is_static;
  std::string interpreter;  // of a dynamic one

  [[nodiscard]] bool same_architecture(const ElfFacts& other) const noexcept {
    return bits == other.bits && little_endian == other.little_endian && machine == other.machine;
  }
};

/// Nothing if it is no ELF file. The file may hold anything.
[[nodiscard]] std::optional<ElfFacts> parse_elf(std::string_view file);
/// The same of a file that is there; nothing if it cannot be read either.
[[nodiscard]] std::optional<ElfFacts> read_elf(const std::string& path);

/// The build id among its notes (ld(1), --build-id), in hexadecimal; empty if it has none. The
/// beginning of the file, or of where it is mapped, is enough.
[[nodiscard]] std::string parse_build_id(std::string_view file);

/// In words, as "x86-64 (64 bits, little endian)".
[[nodiscard]] std::string architecture(const ElfFacts& facts);

}  // namespace duende::mlock::command
