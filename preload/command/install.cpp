// SPDX-License-Identifier: MIT OR Apache-2.0
// install: this program and the library into a folder, such as a volume that containers share.
#include <fcntl.h>

#include "file.hpp"
#include "library.hpp"
#include "subcommands.hpp"

namespace duende::mlock::command {

namespace {

void copy_file(const std::string& from, const std::string& to, mode_t mode) {
  const auto contents = read_file(from);
  if (!contents) {
    throw Failure(1, "cannot read " + from);
  }
  if (!write_file(to, *contents, mode)) {
    throw Failure(1, format("cannot write {}: is the folder there, and is there room?", to));
  }
}

}  // namespace

int install(const InstallOptions& options) {
  const std::string library = locate_library(options.library);
  if (!is_readable(library)) {
    throw Failure(1, library_obstacle(library).value_or(Obstacle{}).text());
  }
  if (!make_folders(options.folder)) {
    throw Failure(1, "cannot make the folder " + options.folder);
  }
  copy_file(library, format("{}/{}", options.folder, base_name(library)), 0644);
  if (const std::string store = store_library(library); is_readable(store)) {
    copy_file(store, format("{}/{}", options.folder, kStoreLibraryName), 0644);
  }
  copy_file(own_path(), format("{}/duende-mlock", options.folder), 0755);
  return 0;
}

}  // namespace duende::mlock::command
