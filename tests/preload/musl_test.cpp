// SPDX-License-Identifier: MIT OR Apache-2.0
// The same library in musl programs: it locks before main, after fork and in threads.
#include <doctest/doctest.h>
#include <unistd.h>

#include "precondition.hpp"
#include "procfs.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

bool musl_is_missing() {
  if (!Stage::get().has_host("musl-report")) {
    return skip("musl-gcc (Debian: musl-tools)");
  }
  return run(plain("musl-report")).how() != "exit 0" && skip("musl's dynamic loader");
}

bool musl_or_identity_is_missing(Identity identity) {
  const auto missing = missing_for(identity);
  return musl_is_missing() || (missing && skip(*missing));
}

}  // namespace

TEST_SUITE("musl") {
  TEST_CASE("locked before main") {
    if (musl_or_identity_is_missing(Identity::root)) {
      return;
    }
    Launch launch = shimmed("musl-report", {}, {"REQUIRED=1"});
    launch.identity = Identity::root;
    limit_locking(launch, kDefaultLimit);
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(locked_at_main(finished) > 0);
    CHECK(locked_after_mapping(finished) == locked_at_main(finished) + 64 * kKiB);
    CHECK(finished.err == line_of(finished, "musl-report",
                                  expected::exempt(locked_at_main(finished), kDefaultLimit)));
    CHECK(field(finished.out, "errno") == "0");
  }

  TEST_CASE("required, and refused: SIGABRT before main") {
    if (musl_or_identity_is_missing(Identity::user)) {
      return;
    }
    Launch launch = shimmed("musl-report", {}, {"REQUIRED=1"});
    launch.identity = Identity::user;
    limit_locking(launch, 0);
    const Finished finished = run(launch);
    CHECK(finished.how() == "signal 6");
    CHECK(finished.out.empty());
    CHECK(finished.err ==
          line_of(finished, "musl-report", expected::no_limit_at_all(Identity::user, true)));
  }

  TEST_CASE("children, of threads as well") {
    if (musl_or_identity_is_missing(Identity::root)) {
      return;
    }
    for (const std::string_view mode : {"FORK=lazy", "FORK=full", "FORK=off"}) {
      for (const char* const way : {"tree", "thread"}) {
        Launch launch = shimmed("musl-forker", {way, "1"}, {mode});
        launch.identity = Identity::root;
        const Finished finished = run(launch);
        CAPTURE(mode);
        CAPTURE(way);
        CHECK(finished.how() == "exit 0");
        for (const std::string_view who : {"child", "grandchild"}) {
          const std::string_view text = section(finished.out, who);
          REQUIRE(!text.empty());
          CHECK((number(text, "VmLck:") > 0) == (mode != "FORK=off"));
          for (const SmapsEntry& entry : code_mappings(parse_smaps(text))) {
            CAPTURE(entry.path);
            CHECK((mode == "FORK=off" || entry.resident == entry.size));
          }
        }
      }
    }
  }

  TEST_CASE("a program that needs memory, at every limit") {
    for (const Identity identity :
         {Identity::root, Identity::user, Identity::user_may_lock, Identity::root_of_namespace}) {
      if (musl_or_identity_is_missing(identity)) {
        continue;
      }
      for (const rlim_t limit : {rlim_t{0}, 64 * kKiB, 2 * kMiB, kDefaultLimit}) {
        Launch bare = plain("musl-workload");
        Launch locked = shimmed("musl-workload");
        for (Launch* launch : {&bare, &locked}) {
          launch->identity = identity;
          limit_locking(*launch, limit);
        }
        const Finished without = run(bare);
        const Finished with = run(locked);
        CAPTURE(name_of(identity));
        CAPTURE(limit);
        REQUIRE(without.how() == "exit 3");
        CHECK(with.how() == without.how());
        CHECK(with.out == without.out);
      }
    }
  }
}

}  // namespace duende::mlock::test
