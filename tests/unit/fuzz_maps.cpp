// SPDX-License-Identifier: MIT OR Apache-2.0
// libFuzzer target: any text in place of /proc/self/maps and status, read in pieces of any size.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <duende/mlock/detail/procfs.hpp>

#include "preload/mappings.hpp"

namespace {

using namespace duende::mlock;

struct Input {
  std::string_view rest;
  std::size_t chunk = 1;
};
Input g_input;
int g_open = 0;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

preload::Kernel make_kernel() {
  preload::Kernel kernel{};
  kernel.open_file = [](const char*) noexcept { return ++g_open; };
  kernel.close_file = [](int) noexcept { --g_open; };
  kernel.read_file = [](int, char* buffer, std::size_t size) noexcept {
    const std::size_t count = std::min({size, g_input.chunk, g_input.rest.size()});
    std::copy_n(g_input.rest.data(), count, buffer);
    g_input.rest.remove_prefix(count);
    return count;
  };
  kernel.populate_read = [](std::uintptr_t, std::size_t) noexcept { return 0; };
  kernel.munlock = [](std::uintptr_t, std::size_t size) noexcept {
    require(size == preload::page_size());
    return 0;
  };
  return kernel;
}

/// Every line is a part of the input, and together they are no more than it.
void read_lines(const preload::Kernel& kernel, std::size_t size) {
  detail::LineReader reader(kernel, "");
  std::size_t total = 0;
  while (const auto line = reader.next()) {
    require(line->find('\n') == std::string_view::npos);
    total += line->size() + 1;
    require(total <= size + 1);
    (void)preload::parse_mapping(*line);
    (void)detail::kib_field(*line, "VmLck:");
  }
  require(!reader.next());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const preload::Kernel kernel = make_kernel();
  if (size == 0) {
    return 0;
  }
  const Input input = {.rest = {reinterpret_cast<const char*>(data) + 1, size - 1},
                       .chunk = std::size_t{data[0]} * 8 + 1};
  g_input = input;
  read_lines(kernel, input.rest.size());
  g_input = input;
  preload::make_code_resident(kernel);
  g_input = input;
  (void)preload::GrowingStack().release(kernel);
  g_input = input;
  (void)detail::read_memory_use(kernel);
  require(g_open == 0);
  return 0;
}
