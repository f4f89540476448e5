// SPDX-License-Identifier: MIT OR Apache-2.0
// The command's parsers of what others have written: no input may crash them.
#include <cstdint>

#include "preload/command/elf.hpp"
#include "preload/command/process.hpp"
#include "preload/command/unit.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace duende::mlock::command;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_elf(text);
  (void)parse_build_id(text);
  (void)parse_status(text);
  (void)parse_smaps(text, [](std::string_view path) { return path.size() % 2 == 0; });
  for (const Assignment& assignment : parse_unit(text)) {
    (void)unit_words(assignment.value);
    (void)parse_unit_size(assignment.value);
  }
  return 0;
}
