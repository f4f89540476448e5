// SPDX-License-Identifier: MIT OR Apache-2.0
// libFuzzer target: any environment block is read, counted and described within bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "environment_block.hpp"
#include "preload/settings.hpp"

namespace {

using namespace duende::mlock::preload;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// Entries end at NUL; one that begins with `.` gets the prefix, and with a digit below the
/// number of variables that variable's name, so that the parsers are reached soon.
std::vector<std::string> entries_of(std::string_view input) {
  std::vector<std::string> entries;
  while (!input.empty()) {
    const std::size_t end = std::min(input.find('\0'), input.size());
    std::string entry(input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
    if (entry.empty()) {
      continue;
    }
    const auto variable = static_cast<std::size_t>(entry[0] - '0');
    if (entry[0] == '.') {
      entry.replace(0, 1, kPrefix);
    } else if (entry[0] >= '0' && variable < variables().size()) {
      entry.replace(0, 1, std::string(kPrefix) + std::string(variables()[variable].name) + "=");
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

void take_line(void* context, const Line& text) noexcept {
  ++*static_cast<unsigned*>(context);
  require(!text.truncated() && text.size() > 0 && text.size() <= 600);
  for (const char byte : text.view()) {
    require(byte >= ' ' && byte <= '~');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const duende::mlock::test::EnvironmentBlock block(
      entries_of({reinterpret_cast<const char*>(data), size}));
  const ReadResult result = read_settings(block);
  unsigned lines = 0;
  describe_problems(block, {take_line, &lines});
  require(lines == result.problems);
  require(!result.required_malformed || result.problems != 0);
  require(!result.required_malformed || !result.settings.required);
  require(result.settings.future_explicit || result.settings.future);
  require(result.settings.onfault_explicit || result.settings.onfault);
  require(result.settings.fork <= ForkMode::off && result.settings.log <= LogLevel::debug);
  return 0;
}
