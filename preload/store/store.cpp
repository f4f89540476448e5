// SPDX-License-Identifier: MIT OR Apache-2.0
// The second library: what happens before the daemon's main, and in its children.
#include <errno.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <duende/mlock/detail/kernel.hpp>

#include "files.hpp"
#include "filter.hpp"
#include "next.hpp"
#include "passages.hpp"
#include "report.hpp"

// As for the first library: glibc has one of them, musl the other.
extern "C" {
[[gnu::weak]] int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(),
                                    void* dso_handle);
}
#pragma weak pthread_atfork

namespace duende::mlock::store {

namespace {

/// Of the threads that were in the midst of something, none is in the child; nor is the lock.
void start_child() noexcept {
  const detail::ErrnoGuard guard;
  forget_passages();
  forget_files();
}

bool follow_forks() noexcept {
  if (__register_atfork != nullptr) {
    return __register_atfork(nullptr, nullptr, start_child, nullptr) == 0;
  }
  return pthread_atfork != nullptr && pthread_atfork(nullptr, nullptr, start_child) == 0;
}

[[gnu::constructor]] void before_main() noexcept {
  const detail::ErrnoGuard guard;
  find_next_functions();
  const bool secure = ::getauxval(AT_SECURE) != 0;
  const preload::Environment environment(secure ? nullptr : environ);
  const std::string_view name = secure ? "(secure)" : program_invocation_short_name;
  const preload::ReadResult read = preload::read_settings(environment);
  const preload::Settings& settings = read.settings;
  const std::string_view wanted = environment.get("DUENDE_MLOCK_STORE").value_or("");
  if (wanted.empty()) {
    return;
  }
  preload::learn_filter(detail::kSystemKernel, settings.required);
  preload::open_report(settings.log, name, environment);
  if (!preload::is_selected(settings, name)) {
    return;
  }
  const bool required = settings.required || read.required_malformed;
  if (!settings.store.empty() && name_files(settings.store, required) && follow_forks()) {
    adopt_inherited();
    return;
  }
  preload::Line line;
  line << "no store is opened with O_DIRECT: DUENDE_MLOCK_STORE takes at most " << kMaxFiles
       << " absolute paths, : between, in less than 4096 bytes";
  report(required ? preload::LogLevel::error : preload::LogLevel::warn, line);
  if (required) {
    preload::abort_daemon();
  }
}

}  // namespace

}  // namespace duende::mlock::store
