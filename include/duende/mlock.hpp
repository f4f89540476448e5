// SPDX-License-Identifier: MIT OR Apache-2.0
// duende-mlock: keep a daemon's memory out of swap.
//
//   lock_all()                -> Result<MlockStatus>   everything, now and later
//   lock_with_config(config)  -> Result<MlockStatus>   what MlockConfig says
//   unlock_all()              -> Result<void>          the opposite
//   locked_bytes()            -> std::size_t           VmLck, in bytes
//   is_locked()               -> bool                  VmLck above 0
//
//   MlockConfig   current, future, required, onfault; built by MlockConfig::builder()
//   MlockStatus   Locked(bytes) | Failed(errno) | Unsupported
//   MlockError    PermissionDenied | ResourceLimit | InvalidArgument | WouldBlock | Unknown(errno)
//   Result<T>     a T or a MlockError, as std::expected without value()
//
// Everything is noexcept, never allocates, never logs, never aborts and keeps no state; statuses,
// errors, configs and results are trivially copyable. Linux is supported in full; on macOS
// mlockall(2) answers for itself and locked bytes read 0; elsewhere nothing can be locked.
#pragma once

#include <duende/mlock/config.hpp>
#include <duende/mlock/error.hpp>
#include <duende/mlock/lock.hpp>
#include <duende/mlock/result.hpp>
#include <duende/mlock/status.hpp>
