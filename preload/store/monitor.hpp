// SPDX-License-Identifier: MIT OR Apache-2.0
// Mutual exclusion by futex(2): libc's is in another library before glibc 2.34, and its condition
// variables are cancellation points.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <cstdint>

#include "filter.hpp"

namespace duende::mlock::store {

/// A mutex, and waiting for a change of what it guards. Constant-initialised.
class Monitor {
 public:
  void lock() noexcept {
    std::uint32_t expected = kFree;
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) {
      while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
        futex(state_, kWait, kContended);
      }
    }
  }

  void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kContended) {
      futex(state_, kWake, 1);
    }
  }

  /// Held before and after; something may have changed.
  void wait() noexcept {
    const std::uint32_t before = changes_.load(std::memory_order_relaxed);
    ++waiting_;
    unlock();
    futex(changes_, kWait, before);
    lock();
    --waiting_;
  }

  /// Held: whoever waits looks again.
  void changed() noexcept {
    changes_.fetch_add(1, std::memory_order_relaxed);
    if (waiting_ != 0) {
      futex(changes_, kWake, INT32_MAX);
    }
  }

  /// In a child of fork(2), where the threads that held it or waited are not.
  void reset() noexcept {
    state_.store(kFree, std::memory_order_relaxed);
    waiting_ = 0;
  }

 private:
  using Word = std::atomic<std::uint32_t>;
  static_assert(sizeof(Word) == 4 && Word::is_always_lock_free);
  enum : std::uint32_t { kFree, kHeld, kContended };
  enum : int { kWait = 128, kWake = 129 };  // FUTEX_WAIT and FUTEX_WAKE, private to the process

  static void futex(Word& word, int operation, std::uint32_t value) noexcept {
    preload::system_call(SYS_futex, &word, operation, value, nullptr);
  }

  Word state_{kFree};
  Word changes_{0};
  std::uint32_t waiting_ = 0;
};

/// Holds it for a scope.
class Held {
 public:
  explicit Held(Monitor& monitor) noexcept : monitor_(monitor) { monitor_.lock(); }
  ~Held() { monitor_.unlock(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Monitor& monitor_;
};

/// Keeps out every signal, also the one by which glibc cancels a thread: a handler that came to
/// the store while its thread holds a monitor would wait for ever. What is waited for here, a
/// disk, no signal interrupts without the library either.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    const std::uint64_t all = ~std::uint64_t{0};
    preload::system_call(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &before_, sizeof all);
  }
  ~SignalsBlocked() {
    preload::system_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &before_, nullptr,
                         sizeof before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  std::uint64_t before_ = 0;
};

}  // namespace duende::mlock::store
