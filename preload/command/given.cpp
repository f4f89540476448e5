// SPDX-License-Identifier: MIT OR Apache-2.0
#include "given.hpp"

#include <cstdlib>

#include "../settings.hpp"

namespace duende::mlock::command {

std::string_view GivenSettings::value(std::string_view name) const {
  for (const Setting& setting : all) {
    if (after(setting.name, preload::kPrefix) == name) {
      return setting.value;
    }
  }
  return {};
}

bool GivenSettings::wants_io_flusher() const {
  const std::string_view own = value("IO_FLUSHER");
  return own.empty() ? !value("PROFILE").empty() : own != "0";
}

bool GivenSettings::wants_realtime() const {
  const std::string_view own = value("REALTIME");
  return own.empty() ? !value("PROFILE").empty() : own != "0";
}

Words GivenSettings::capabilities(std::string_view prefix) const {
  Words names = {std::string(prefix) + "IPC_LOCK"};
  if (wants_io_flusher()) {
    names.push_back(std::string(prefix) + "SYS_RESOURCE");
  }
  if (wants_realtime()) {
    names.push_back(std::string(prefix) + "SYS_NICE");
  }
  return names;
}

void put_into_environment(const GivenSettings& settings) {
  for (const Setting& setting : settings.all) {
    ::setenv(setting.name.c_str(), setting.value.c_str(), 1);
  }
}

}  // namespace duende::mlock::command
