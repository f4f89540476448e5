// SPDX-License-Identifier: MIT OR Apache-2.0
#include "swap.hpp"

#include <sys/statfs.h>

#include <algorithm>

#include "file.hpp"
#include "process.hpp"

namespace duende::mlock::command {

Words swap_devices() {
  Words devices;
  const std::string text = read_or_empty("/proc/swaps");
  for (const std::string_view line : split(text, '\n')) {
    if (const auto words = words_of(line); !words.empty() && words[0] != "Filename") {
      devices.emplace_back(words[0]);
    }
  }
  return devices;
}

namespace {

bool is_on_fuse(const std::string& file) {
  constexpr long kFuse = 0x65735546;  // FUSE_SUPER_MAGIC
  struct statfs place;
  return ::statfs(file.c_str(), &place) == 0 && place.f_type == kFuse;
}

bool is_iscsi(const std::string& block) {
  const std::string path = real_path(block).value_or("");
  const auto session = path.find("/session");
  return session != path.npos && session + 8 < path.size() && path[session + 8] >= '0' &&
         path[session + 8] <= '9';
}

bool has_open(pid_t pid, std::string_view file) {
  for (const std::string& number : names_in(in_proc(pid, "fd"))) {
    const std::string target = read_link(format("/proc/{}/fd/{}", pid, number)).value_or("");
    if (target == file) {
      return true;
    }
  }
  return false;
}

}  // namespace

// NOLINTNEXTLINE(misc-no-recursion): devices below devices, without a circle
std::string swap_kind(const std::string& device) {
  if (device.starts_with("/dev/nbd")) {
    return "nbd";
  }
  if (device.starts_with("/dev/ublkb")) {
    return "ublk";
  }
  const std::string block = format("/sys/class/block/{}", base_name(device));
  if (is_iscsi(block)) {
    return "iscsi";
  }
  std::string file = device.starts_with("/dev/") ? "" : device;
  if (device.starts_with("/dev/loop")) {
    file = trim(read_or_empty(block + "/loop/backing_file"));
  }
  if (!file.empty() && is_on_fuse(file)) {
    return "fuse";
  }
  for (const std::string& below : names_in(block + "/slaves")) {
    if (std::string kind = swap_kind("/dev/" + below); !kind.empty()) {
      return kind;
    }
  }
  return "";
}

bool may_serve(std::string_view kind, const std::string& device, std::string_view program,
               pid_t pid) {
  const std::string_view name = base_name(program);
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (kind == "ublk") {
    const auto unit = after(device, "/dev/ublkb").value_or("");
    return name.find("ublk") != name.npos ||
           has_open(pid, format("/dev/ublkc{}", unit.substr(0, unit.find('p'))));
  }
  if (kind == "fuse") {
    return has_open(pid, "/dev/fuse");
  }
  if (kind == "nbd") {
    return name.starts_with("nbd") || is_one_of({"qemu-nbd", "qemu-storage-daemon"});
  }
  return is_one_of({"iscsid", "tgtd", "istgt", "tcmu-runner"});
}

bool is_behind_page_cache(std::string_view program, const Words& arguments) {
  const std::string_view name = base_name(program);
  const auto has = [&](auto test) { return std::any_of(arguments.begin(), arguments.end(), test); };
  if (name == "nbdkit") {
    return has([](std::string_view word) {
      return word == "file" || base_name(word) == "nbdkit-file-plugin.so";
    });
  }
  if (name == "qemu-nbd") {
    return !has([](std::string_view word) {
      return word == "-n" || word == "--nocache" || word.ends_with("none") ||
             word.ends_with("directsync");
    });
  }
  return name == "nbd-server";
}

}  // namespace duende::mlock::command
