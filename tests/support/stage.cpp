// SPDX-License-Identifier: MIT OR Apache-2.0
#include "stage.hpp"

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace duende::mlock::test {

namespace {

namespace fs = std::filesystem;

constexpr fs::perms kEverybodyRuns{0755};
constexpr fs::perms kEverybodyWrites{0777};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) {
    throw std::runtime_error(std::string(name) + " is not set: run the tests with meson");
  }
  return value;
}

void place(const fs::path& from, const fs::path& to) {
  fs::copy_file(from, to);
  fs::permissions(to, kEverybodyRuns);
}

}  // namespace

const Stage& Stage::get() {
  static const Stage stage;
  return stage;
}

Stage::Stage() {
  const std::string library = variable("DUENDE_MLOCK_LIBRARY");
  const std::string hosts = variable("DUENDE_MLOCK_HOSTS");
  std::string name = (fs::temp_directory_path() / "duende-mlock-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("mkdtemp " + name);
  }
  folder_ = name;
  library_ = folder_ + "/preload.so";
  fs::permissions(folder_, kEverybodyRuns);
  place(library, library_);
  for (const auto& entry : fs::directory_iterator(hosts)) {
    if (entry.is_regular_file() && ::access(entry.path().c_str(), X_OK) == 0) {
      place(entry.path(), host(entry.path().filename().string()));
    }
  }
}

Stage::~Stage() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

bool Stage::has_host(const std::string& name) const { return fs::exists(host(name)); }

std::string Stage::empty_folder(const std::string& name) const {
  const std::string path = folder_ + '/' + name;
  fs::remove_all(path);
  fs::create_directory(path);
  fs::permissions(path, kEverybodyWrites);
  return path;
}

}  // namespace duende::mlock::test
