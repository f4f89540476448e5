// SPDX-License-Identifier: MIT OR Apache-2.0
// What the recipes for containers have in common.
#pragma once

#include "subcommands.hpp"

namespace duende::mlock::command {

/// Throws a usage error for what is not the name of an image.
void need_image_name(const std::string& name);

/// The library as named or found, with a warning if it is of no use.
[[nodiscard]] std::string library_for_image(const GivenSettings& settings);
/// Where an image has it.
[[nodiscard]] std::string library_in_image();

/// Of `docker run` and `podman run`.
[[nodiscard]] std::string run_flags(const GivenSettings& settings);

/// For a fleet, instead of a manifest. Kubernetes' names have been looked at.
[[nodiscard]] std::string kubernetes_policy(const KubernetesOptions& options);
[[nodiscard]] std::string kubernetes_component(const KubernetesOptions& options);

}  // namespace duende::mlock::command
