// SPDX-License-Identifier: MIT OR Apache-2.0
// THREAD_STACK and ARENAS: how much eight threads charge, and whose wish comes first.
#include <doctest/doctest.h>
#include <unistd.h>
#include <algorithm>

#include "deployment.hpp"
#include "precondition.hpp"

namespace duende::mlock::test {

namespace {

constexpr unsigned kThreads = 8;

/// The least stack of a thread: the C library's, which depends on the processor.
std::string least_stack(std::string_view unit) {
  const long kib = std::max(16L, (::sysconf(_SC_THREAD_STACK_MIN) + 1023) / 1024);
  return unit == "K" ? std::to_string(kib) + "K" : std::to_string(kib * 1024);
}

std::string stacks(std::string_view bytes) {
  std::string text;
  for (unsigned i = 0; i < kThreads; ++i) {
    text += "stack " + std::string(bytes) + '\n';
  }
  return text;
}

Finished threads(const std::string& host, const Names& variables,
                 std::vector<std::string> arguments = {}) {
  Launch launch = shimmed(host, std::move(arguments), variables);
  launch.identity = Identity::root;
  limit_locking(launch, kDefaultLimit);
  // Which glibc takes for the default stack size.
  launch.limits.push_back({RLIMIT_STACK, {8 * kMiB, RLIM_INFINITY}});
  const Finished finished = run(launch);
  REQUIRE(finished.how() == "exit 0");
  return finished;
}

bool has_stacks(const Finished& finished, std::string_view bytes) {
  return finished.out.find(stacks(bytes)) != std::string::npos;
}

}  // namespace

TEST_SUITE("threads") {
  TEST_CASE("small stacks and one heap: little is charged") {
    if (is_missing(Identity::root)) {
      return;
    }
    const Finished unset = threads("threads", {"FUTURE=1"});
    const Finished small = threads("threads", {"FUTURE=1", "THREAD_STACK=256K", "ARENAS=1"});
    CHECK(has_stacks(unset, "8388608"));
    CHECK(has_stacks(small, "262144"));
    CHECK(number(unset.out, "heaps ") == kThreads + 1);
    CHECK(number(small.out, "heaps ") == 1);
    CHECK(number(unset.out, "VmLck:") * kKiB > kThreads * (8 + 64) * kMiB);
    CHECK(number(small.out, "VmLck:") * kKiB < 10 * kMiB);
    CHECK(number(small.out, "VmRSS:") * kKiB < 10 * kMiB);
  }

  TEST_CASE("every way to write a size") {
    if (is_missing(Identity::root)) {
      return;
    }
    struct {
      std::string setting;
      std::string bytes;
    } const rows[] = {
        {"THREAD_STACK=1M", "1048576"},
        {"THREAD_STACK=262144", "262144"},
        {"THREAD_STACK=" + least_stack("K"), least_stack("")},
        {"THREAD_STACK=1G", "1073741824"},
        {"THREAD_STACK=", "8388608"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.setting);
      CHECK(has_stacks(threads("threads", {row.setting}), row.bytes));
    }
    CHECK(number(threads("threads", {"ARENAS=3"}).out, "heaps ") == 3);
  }

  TEST_CASE("a program's own size is left alone") {
    if (is_missing(Identity::root)) {
      return;
    }
    CHECK(has_stacks(threads("threads", {"THREAD_STACK=256K"}, {"2097152"}), "2097152"));
  }

  TEST_CASE("what is too small, too large or no size is a configuration error") {
    const std::string sizes = least_stack("K") + " to 1G";
    struct {
      std::string_view setting;
      std::string_view accepted;
    } const rows[] = {
        {"THREAD_STACK=15K", sizes},   {"THREAD_STACK=16383", sizes},
        {"THREAD_STACK=1025M", sizes}, {"THREAD_STACK=2G", sizes},
        {"THREAD_STACK=0", sizes},     {"THREAD_STACK=256k", sizes},
        {"THREAD_STACK=-1", sizes},    {"THREAD_STACK=K", sizes},
        {"THREAD_STACK=256KB", sizes}, {"THREAD_STACK=18446744073709551616", sizes},
        {"ARENAS=0", "1 to 999"},      {"ARENAS=1000", "1 to 999"},
        {"ARENAS=1K", "1 to 999"},     {"ARENAS=+1", "1 to 999"},
    };
    for (const auto& row : rows) {
      const std::string setting(row.setting);
      const std::size_t equals = setting.find('=');
      const std::string problem = any_line(
          "report",
          "DUENDE_MLOCK_" + setting.substr(0, equals) + "=\"" + setting.substr(equals + 1) +
              "\" is not accepted; accepted: " + std::string(row.accepted) + "; default: unset");
      Launch launch = shimmed("report", {}, {setting, "CURRENT=0", "FUTURE=0"});
      CAPTURE(setting);
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      check_error(finished, problem + any_line("report", expected::nothing_to_lock()));
      add_variables(launch, {"REQUIRED=1"});
      const Finished required = run(launch);
      CHECK(required.how() == "signal 6");
      check_error(required, problem);
    }
  }

  TEST_CASE("in musl programs as well") {
    if (!Stage::get().has_host("musl-threads")) {
      skip("musl-gcc (Debian: musl-tools)");
      return;
    }
    if (is_missing(Identity::root)) {
      return;
    }
    const Finished finished =
        threads("musl-threads", {"REQUIRED=1", "THREAD_STACK=256K", "ARENAS=1"});
    const auto stack = number(finished.out, "stack ");  // musl counts the thread's own data in
    CHECK(stack >= 256 * kKiB);
    CHECK(stack < 260 * kKiB);
  }
}

}  // namespace duende::mlock::test
