// SPDX-License-Identifier: MIT OR Apache-2.0
// libFuzzer target: any text in place of /proc/self/maps and status, read in pieces of any size.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <duende/mlock/detail/procfs.hpp>

#include "preload/cgroup.hpp"
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

// In place of the real ones.
namespace duende::mlock::preload {

int Kernel::munlock(std::uintptr_t, std::size_t) const noexcept { return 0; }
int Kernel::lock(std::uintptr_t, std::size_t, bool) const noexcept { return 0; }
int Kernel::advise(std::uintptr_t, std::size_t, int) const noexcept { return 0; }
bool Kernel::touch(std::uintptr_t) const noexcept { return true; }
std::size_t Kernel::read_at(int, void*, std::size_t, std::uint64_t) const noexcept { return 0; }
std::size_t Kernel::total_memory() const noexcept { return 0; }
Answer Kernel::swappable_path(const char* path) const noexcept {
  return path[0] == '/' ? Answer::no : Answer::unknown;
}

}  // namespace duende::mlock::preload

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
  (void)preload::leave_data_files(kernel, false);
  g_input = input;
  (void)preload::leave_data_files(kernel, true);
  g_input = input;
  (void)preload::bring_back_swapped(kernel);
  g_input = input;
  (void)preload::memory_limit(kernel);
  g_input = input;
  (void)detail::read_memory_use(kernel);
  require(g_open == 0);
  return 0;
}
