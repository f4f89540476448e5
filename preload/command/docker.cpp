// SPDX-License-Identifier: MIT OR Apache-2.0
// docker, compose, podman: what has an image or a service run locked.
#include <cstdio>

#include "image.hpp"
#include "library.hpp"

namespace duende::mlock::command {

void need_image_name(const std::string& name) {
  constexpr std::string_view kBytes =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-";
  if (name.empty() || !consists_of(name, kBytes)) {
    usage_error(format("'{}' is not the name of an image", name));
  }
}

std::vector<Copied> libraries_for_image(const GivenSettings& settings) {
  std::vector<Copied> libraries = {{locate_library(settings.library), kLibraryName}};
  if (settings.wants_store()) {
    libraries.push_back({store_library(libraries[0].path), kStoreLibraryName});
  }
  for (const Copied& library : libraries) {
    if (const auto obstacle = library_obstacle(library.path)) {
      warn(obstacle->text());
    }
  }
  return libraries;
}

std::string preload_in_image(const GivenSettings& settings, std::string_view folder,
                             std::string_view name) {
  const std::string first = format("{}/{}", folder, name);
  return settings.wants_store() ? format("{}:{}/{}", first, folder, kStoreLibraryName) : first;
}

namespace {

std::string limit_flags(const ImageOptions& options) {
  return format(
      "--ulimit memlock=-1:-1 --oom-score-adj={}{}", options.settings.oom_score(),
      options.memory.empty() ? "" : format(" --memory={0} --memory-swap={0}", options.memory));
}

/// Of `docker run` and `podman run`.
std::string run_flags(const ImageOptions& options) {
  return format("{} {}", join(options.settings.capabilities("--cap-add="), " "),
                limit_flags(options));
}

/// As docker(1) has them: 512m.
void need_size(const std::string& size) {
  if (!size.empty() &&
      (!consists_of(size, "0123456789bkmgBKMG") || !number(size.substr(0, size.size() - 1)))) {
    usage_error(format("--memory takes a size such as 512m, not '{}'", size));
  }
}

std::string volume_of(const Copied& library) {
  return format("{}:{}/{}:ro", library.path, kImageFolder, library.name);
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

constexpr std::string_view kFlags =
    "# --cap-add=IPC_LOCK  root in the container may lock beyond any limit\n"
    "# --ulimit memlock    other users may lock without a limit: the capability is not for them\n"
    "# --oom-score-adj     locked memory makes the daemon a likelier victim when memory runs out\n"
    "# --memory-swap       as much as --memory: nothing of the container goes to swap\n"
    "# --cap-add=...       more of these are what the IO flusher (SYS_RESOURCE), SCHED_RR "
    "(SYS_NICE) need\n";

}  // namespace

int docker(const ImageOptions& options) {
  need_image_name(options.image);
  need_size(options.memory);
  const std::string_view name = base_name(options.image);
  const std::string locked = format("{}-locked", name.substr(0, name.find_first_of("@:")));
  std::string installs;
  std::string copies;
  for (const Copied& library : libraries_for_image(options.settings)) {
    installs += format("#   install -m 644 {} {}\n", library.path, library.name);
    copies += format("COPY {0} {1}/{0}\n", library.name, kImageFolder);
  }
  std::string text = format(
      "# Build, in the folder that this Dockerfile is in:\n"
      "{0}"
      "#   docker build -t {2} .\n"
      "# Run:\n"
      "#   docker run {3} {2}\n"
      "{4}"
      "FROM {5}\n"
      "# The same file serves images with glibc and with musl.\n"
      "{1}",
      installs, copies, locked, run_flags(options), kFlags, options.image);
  for (const Setting& setting : options.settings.all) {
    text += format("ENV {}={}\n", setting.name, quote(setting.value, "$"));
  }
  text += format(
      "# Last, so that what RUN starts is not locked. What the image preloads already "
      "stays.\nENV LD_PRELOAD={}${{LD_PRELOAD:+:$LD_PRELOAD}}\n",
      preload_in_image(options.settings));
  print(text);
  return 0;
}

int compose(const ImageOptions& options) {
  constexpr std::string_view kBytes =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (options.image.empty() || !consists_of(options.image, kBytes)) {
    usage_error(format("'{}' is not the name of a service", options.image));
  }
  need_size(options.memory);
  Words volumes;
  for (const Copied& library : libraries_for_image(options.settings)) {
    volumes.push_back(format("      - {}\n", quote(volume_of(library))));
  }
  std::string text = format(
      "# compose.locked.yaml; beside the file that the service is in, whose image stays as it is:\n"
      "#   docker compose -f compose.yaml -f compose.locked.yaml up\n"
      "services:\n"
      "  {}:\n"
      "    # Root in the container may lock beyond any limit; other users may by the limit.\n"
      "    cap_add: [{}]\n"
      "    ulimits:\n"
      "      memlock: {{soft: -1, hard: -1}}\n"
      "    # Locked memory makes the daemon a likelier victim when memory runs out.\n"
      "    oom_score_adj: {}\n"
      "{}"
      "    volumes:\n"
      "{}"
      "    environment:\n"
      "      LD_PRELOAD: {}\n",
      options.image, join(options.settings.capabilities(), ", "), options.settings.oom_score(),
      options.memory.empty() ? ""
                             : format("    # With as much, nothing of it goes to swap.\n"
                                      "    mem_limit: {0}\n    memswap_limit: {0}\n",
                                      options.memory),
      join(volumes, ""), quote(preload_in_image(options.settings)));
  for (const Setting& setting : options.settings.all) {
    // A dollar sign is doubled, as Compose puts variables in the place of others.
    std::string value;
    for (const char byte : setting.value) {
      value.append(byte == '$' ? 2 : 1, byte);
    }
    text += format("      {}: {}\n", setting.name, quote(value));
  }
  print(text);
  return 0;
}

int podman(const ImageOptions& options) {
  need_image_name(options.image);
  need_size(options.memory);
  Words volumes;
  for (const Copied& library : libraries_for_image(options.settings)) {
    volumes.push_back(volume_of(library));
  }
  const std::string_view base = base_name(options.image);
  const std::string_view name = base.substr(0, base.find_first_of("@:"));
  std::string variables;
  std::string lines;
  for (const Setting& setting : options.settings.all) {
    const std::string word = quote(setting.name + '=' + setting.value);
    variables += format(" --env {}", word);
    lines += format("Environment={}\n", word);
  }
  print(format(
      "# Once, from the command line. Rootless, the limit is the user's own (limits.conf):\n"
      "# leave --ulimit and --oom-score-adj out.\n"
      "#   podman run {0} --volume {1} --env LD_PRELOAD={2}{3} {4}\n"
      "#\n"
      "# As a service (Podman 4.4): /etc/containers/systemd/{5}.container\n"
      "[Unit]\n"
      "Description={4}, with its memory locked\n"
      "\n"
      "[Container]\n"
      "Image={4}\n"
      "# The library is taken from here; the image stays as it is.\n"
      "Volume={9}\n"
      "Environment=LD_PRELOAD={2}\n"
      "{6}"
      "# Root in the container may lock beyond any limit; other users may by the limit.\n"
      "AddCapability={7}\n"
      "PodmanArgs={8}\n"
      "\n"
      "[Service]\n"
      "# What the container may be given at most.\n"
      "LimitMEMLOCK=infinity\n"
      "\n"
      "[Install]\n"
      "WantedBy=multi-user.target\n",
      run_flags(options), join(volumes, " --volume "), preload_in_image(options.settings),
      variables, options.image, name, lines, join(options.settings.capabilities("CAP_"), " "),
      limit_flags(options), join(volumes, "\nVolume=")));
  return 0;
}

}  // namespace duende::mlock::command
