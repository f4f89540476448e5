// SPDX-License-Identifier: MIT OR Apache-2.0
// An outcome in words: what is locked, or the cause and the one fix that fits here.
#pragma once

#include "capability.hpp"
#include "locking.hpp"

namespace duende::mlock::preload {

/// Who sets the limits here, and so where they are changed.
enum class Host : unsigned char { shell, systemd, docker, podman, kubernetes };

/// Once, before main: Kubernetes shows itself in the environment, which a daemon may change.
void remember_host(Environment environment) noexcept;
/// Async-signal-safe.
[[nodiscard]] Host detect_host(const Kernel& kernel) noexcept;

/// A line and how loud it is. The functions below append to the line.
struct Message {
  // Not constexpr, or else GCC copies the whole from a constant of a thousand zeros.
  Message() noexcept {}
  LogLevel level = LogLevel::info;
  Line text;
};

/// Reads /proc only where something is wrong. Async-signal-safe.
void describe(Message& message, const Kernel& kernel, const Outcome& outcome,
              const Settings& settings) noexcept;

/// A call for something other than the lock that was refused.
enum class Reclaim : unsigned char { io_flusher, realtime };
struct Refusal {
  Reclaim what;
  int error;  // 0: accepted, without an effect
};
void describe(Message& message, const Kernel& kernel, const Refusal& refusal,
              const Settings& settings) noexcept;

/// IO_FLUSHER or REALTIME where `left` threads, started before this library, are without; no text
/// without one.
void describe_threads(Message& message, unsigned left, const Settings& settings) noexcept;

/// That CAP_IPC_LOCK is gone, or the limit has come down, and future locking with it.
/// Async-signal-safe.
void describe_loss(Message& message, const Kernel& kernel, const Settings& settings,
                   const MemlockLimit& limit, bool lowered) noexcept;

}  // namespace duende::mlock::preload
