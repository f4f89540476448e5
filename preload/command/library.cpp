// SPDX-License-Identifier: MIT OR Apache-2.0
#include "library.hpp"

#include <sys/auxv.h>

#include "elf.hpp"
#include "file.hpp"

namespace duende::mlock::command {

namespace {

/// Beside this program, where it is installed, in an image: what takes no folder to be read.
Words usual_places() {
  const std::string here = own_path().substr(0, own_path().rfind('/'));
  return {format("{}/{}", here, kLibraryName),
          format("{}/{}", here.substr(0, here.rfind('/')), kLibraryName),
          DUENDE_MLOCK_INSTALLED_LIBRARY, format("{}/{}", kImageFolder, kLibraryName)};
}

}  // namespace

std::string own_path() {
  // Without /proc, as it was executed.
  static const std::string path =
      read_link("/proc/self/exe").value_or(reinterpret_cast<const char*>(::getauxval(AT_EXECFN)));
  return path;
}

std::string locate_library(const std::string& said, const std::string& root) {
  if (!said.empty()) {
    return said.front() == '/' ? said : format("{}/{}", current_folder(), said);
  }
  for (const std::string& path : usual_places()) {
    if (exists(root + path)) {
      return path;
    }
  }
  for (const std::string& folder : names_in(root + "/usr/lib")) {
    std::string path = format("/usr/lib/{}/{}", folder, kLibraryName);
    if (exists(root + path)) {
      return path;
    }
  }
  return DUENDE_MLOCK_INSTALLED_LIBRARY;
}

std::string store_library(const std::string& library, const std::string& root) {
  const std::string folder = library.substr(0, library.rfind('/') + 1);
  const std::string built = format("{}store/{}", folder, kStoreLibraryName);  // in a build folder
  return exists(root + built) ? built : format("{}{}", folder, kStoreLibraryName);
}

std::optional<Obstacle> library_obstacle(const std::string& library, const std::string& root) {
  const auto obstacle = [](std::string cause, std::string remedy) {
    return Obstacle{Obstacle::Way::foreign, std::move(cause), std::move(remedy)};
  };
  if (library.find_first_of(": \t\n$") != library.npos) {
    return obstacle(
        "the library's path holds a space, a colon or a dollar sign, which LD_PRELOAD "
        "does not take: " +
            library,
        "put it where the path has none");
  }
  const std::string file = root + library;
  if (!is_file(file)) {
    return obstacle(format("there is no library {}{}{}", library, root.empty() ? "" : " in ", root),
                    "install it, or say with --library PATH where it is");
  }
  if (!is_readable(file)) {
    return obstacle(format("the library {} cannot be read", library),
                    "make it readable (chmod a+r), and the way to it (a+x)");
  }
  if (!read_elf(file)) {
    return obstacle(format("the library {} is not an ELF file", library),
                    "install it again, or name another: --library PATH");
  }
  return std::nullopt;
}

}  // namespace duende::mlock::command
