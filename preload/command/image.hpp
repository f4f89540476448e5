// SPDX-License-Identifier: MIT OR Apache-2.0
// What the recipes for containers have in common.
#pragma once

#include "library.hpp"
#include "subcommands.hpp"

namespace duende::mlock::command {

/// Throws a usage error for what is not the name of an image.
void need_image_name(const std::string& name);

/// A library here, and its name there.
struct Copied {
  std::string path;
  std::string_view name;
};
/// The library as named or found, and for a store the second one, with a warning where one is of no
/// use.
[[nodiscard]] std::vector<Copied> libraries_for_image(const GivenSettings& settings);
/// LD_PRELOAD in the image.
[[nodiscard]] std::string preload_in_image(const GivenSettings& settings,
                                           std::string_view folder = kImageFolder,
                                           std::string_view name = kLibraryName);

/// LD_PRELOAD of a container whose volume the library is laid out in.
[[nodiscard]] std::string preload_in_pod(const GivenSettings& settings);
/// What `install` is told there, behind its folder.
[[nodiscard]] std::string options_of_install(const GivenSettings& settings);
/// The settings as entries of `env:`.
[[nodiscard]] std::string variables_of_pod(const GivenSettings& settings, std::string_view indent);

/// For a fleet, instead of a manifest. Kubernetes' names have been looked at.
[[nodiscard]] std::string kubernetes_policy(const KubernetesOptions& options);
[[nodiscard]] std::string kubernetes_component(const KubernetesOptions& options);

}  // namespace duende::mlock::command
