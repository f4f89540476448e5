// SPDX-License-Identifier: MIT OR Apache-2.0
#include "drop_ins.hpp"

#include <unistd.h>

#include <cstdio>

#include "file.hpp"
#include "unit.hpp"

namespace duende::mlock::command {

namespace {

void tell(std::string_view what, const std::string& file) {
  const std::string line = format("{} {}\n", what, file);
  std::fputs(line.c_str(), stdout);
}

}  // namespace

std::string drop_in_header(const std::string& unit) {
  return format("# {}.d/{}, as printed by: duende-mlock systemd", unit, kDropInName);
}

std::string DropIns::folder(const std::string& unit) const {
  return format("{}/etc/systemd/system/{}.d", root_, unit);
}

std::string DropIns::file(const std::string& unit) const {
  return format("{}/{}", folder(unit), kDropInName);
}

std::optional<std::string> DropIns::own(const std::string& unit) const {
  auto text = read_file(file(unit));
  if (text && !text->starts_with(drop_in_header(unit))) {
    throw Failure(1, format("{} was not written by this command; remove it by hand if it is to go",
                            file(unit)));
  }
  return text;
}

void DropIns::install(const std::string& unit, const std::string& text) {
  if (own(unit) == text) {
    tell("Unchanged", file(unit));
    return;
  }
  if (dry_run_) {
    tell("Would install", file(unit));
    std::fputs(text.c_str(), stdout);
    return;
  }
  if (!make_folders(folder(unit)) || !write_file(file(unit), text, 0644)) {
    throw Failure(1, "cannot write to " + folder(unit));
  }
  tell("Installed", file(unit));
  changed_.push_back(unit);
}

void DropIns::remove(const std::string& unit) {
  if (!own(unit)) {
    tell("Nothing at", file(unit));
    return;
  }
  if (dry_run_) {
    tell("Would remove", file(unit));
    return;
  }
  if (::unlink(file(unit).c_str()) != 0) {
    throw Failure(1, "cannot remove " + file(unit));
  }
  ::rmdir(folder(unit).c_str());  // unless there is more in it
  tell("Removed", file(unit));
  changed_.push_back(unit);
}

int DropIns::finish() const {
  if (changed_.empty()) {
    return 0;
  }
  if (systemd_runs(root_) && !output_of({"systemctl", "daemon-reload"})) {
    warn("systemd was not reloaded; fix: systemctl daemon-reload, as root");
    return 1;
  }
  const bool all = changed_ == Words{std::string(kAllServices)};
  const std::string units = all ? "UNIT..." : join(changed_, " ");
  std::printf("It counts from the next start: systemctl restart %s\n", units.c_str());
  return 0;
}

}  // namespace duende::mlock::command
