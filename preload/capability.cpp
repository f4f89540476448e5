// SPDX-License-Identifier: MIT OR Apache-2.0
#include "capability.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <string_view>

#include <duende/mlock/detail/kernel.hpp>

#include "filter.hpp"

namespace duende::mlock::preload {

namespace {

bool in_initial_user_namespace() noexcept {
  char target[32];
  const long length =
      system_call(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/user", target, sizeof target);
  // Without /proc nothing can be told, and the first namespace is by far the likelier.
  return length < 0 ||
         std::string_view(target, static_cast<std::size_t>(length)) == kInitialUserNamespace;
}

struct Sets {
  bool effective;
  bool permitted;
};

Sets read_sets(Capability which) noexcept {
  const auto number = static_cast<unsigned>(which);
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  system_call(SYS_capget, &header, sets);
  const auto& set = sets[number / 32];
  const unsigned bit = 1U << (number % 32);
  return {(set.effective & bit) != 0, (set.permitted & bit) != 0};
}

}  // namespace

CapabilityState capability(Capability which) noexcept {
  const Sets sets = read_sets(which);
  return {
      .effective = sets.effective,
      .permitted = sets.permitted,
      .bounding = system_call(SYS_prctl, PR_CAPBSET_READ, which, 0L, 0L, 0L) == 1,
      .namespaced = !in_initial_user_namespace(),
  };
}

bool effective(Capability which) noexcept { return read_sets(which).effective; }

}  // namespace duende::mlock::preload
