// SPDX-License-Identifier: MIT OR Apache-2.0
// 1500 random environments: no crash, no hang, and REQUIRED never lets main run unlocked.
#include <doctest/doctest.h>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "precondition.hpp"
#include "procfs.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

constexpr unsigned kRuns = 1500;
constexpr unsigned long kDefaultSeed = 20240131;

/// Reproducible everywhere: the standard's distributions are not.
class Random {
 public:
  explicit Random(unsigned long seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <typename Range>
  auto& of(const Range& range) {
    return range[below(std::size(range))];
  }

 private:
  std::mt19937_64 engine_;
};

std::string bytes(Random& random, std::size_t most) {
  std::string text(random.below(most), ' ');
  for (char& byte : text) {
    byte = static_cast<char>(1 + random.below(255));  // an entry ends at 0
  }
  return text;
}

std::string random_name(Random& random) {
  std::string name(random.of(expected::variables()).name);
  if (random.one_in(12)) {
    name[random.below(name.size())] = static_cast<char>('A' + random.below(26));
  }
  return random.one_in(40) ? bytes(random, 40) : name;
}

std::string random_value(Random& random, std::string_view name) {
  constexpr std::string_view kWords[] = {"1",  "0",   "true", "FALSE", "yes", "No",
                                         "on", "oFF", "lazy", "full",  "off", "debug",
                                         "1x", " 1",  "10",   "maybe", "00",  "-1"};
  const auto all = expected::variables();
  const auto known = std::find_if(all.begin(), all.end(),
                                  [&](const auto& variable) { return variable.name == name; });
  if (known != all.end() && !random.one_in(10)) {
    std::vector<std::string> accepted = {""};
    for (const char byte : known->samples) {
      if (byte == ' ') {
        accepted.emplace_back();
      } else {
        accepted.back().push_back(byte);
      }
    }
    return random.one_in(8) ? "" : random.of(accepted);
  }
  return random.one_in(4) ? bytes(random, 2000) : std::string(random.of(kWords));
}

/// What the first entry of that name holds, as a reader of the documentation would see it.
struct Answer {
  bool value;
  bool malformed = false;
};

Answer boolean(const Launch& launch, std::string_view name, bool fallback) {
  const std::string prefix = "DUENDE_MLOCK_" + std::string(name) + '=';
  for (const std::string& entry : launch.environment) {
    if (entry.compare(0, prefix.size(), prefix) != 0) {
      continue;
    }
    std::string value = entry.substr(prefix.size());
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char byte) { return static_cast<char>(std::tolower(byte)); });
    if (value.empty()) {
      return {fallback};
    }
    if (value == "1" || value == "true" || value == "yes" || value == "on") {
      return {true};
    }
    const bool is_false = value == "0" || value == "false" || value == "no" || value == "off";
    return is_false ? Answer{false} : Answer{fallback, true};
  }
  return {fallback};
}

Launch random_launch(Random& random, const std::vector<Identity>& identities) {
  constexpr rlim_t kLimits[] = {0, 4096, 64 * kKiB, 1 * kMiB, 3 * kMiB, kDefaultLimit};
  constexpr Stream kStreams[] = {Stream::pipe,   Stream::pipe,      Stream::pipe,
                                 Stream::closed, Stream::full_pipe, Stream::broken_pipe,
                                 Stream::file};
  Launch launch = shimmed("report");
  for (std::size_t count = random.below(8); count != 0; --count) {
    const std::string name = random_name(random);
    launch.environment.push_back("DUENDE_MLOCK_" + name + '=' + random_value(random, name));
  }
  if (random.one_in(5)) {
    launch.environment.push_back(bytes(random, 100));
  }
  if (random.one_in(2)) {
    add_variables(launch, {"REQUIRED=1"});
  }
  launch.identity = random.of(identities);
  const rlim_t soft = random.of(kLimits);
  limit_locking(launch, soft, std::max(soft, random.of(kLimits)));
  launch.standard_error = random.of(kStreams);
  if (random.one_in(5)) {
    const bool matching = launch.standard_error != Stream::closed && random.one_in(2);
    launch.environment.push_back("JOURNAL_STREAM=" + (matching ? "@STDERR@" : bytes(random, 40)));
  }
  return launch;
}

std::string describe(const Launch& launch) {
  std::string text(name_of(launch.identity));
  text += ", limit " + std::to_string(launch.limits[0].value.rlim_cur) + ' ' +
          std::to_string(launch.limits[0].value.rlim_max) + ", stderr " +
          std::string(name_of(launch.standard_error));
  for (const std::string& entry : launch.environment) {
    text += "\n  ";
    for (const char byte : entry) {
      text += byte >= ' ' && byte <= '~' ? byte : '?';
    }
  }
  return text;
}

/// Whole lines, each with the prefix, none longer than what one write carries.
void check_lines(const Finished& finished) {
  constexpr std::size_t kLongest = 1100;
  std::string_view rest = finished.err;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    REQUIRE(line.size() < rest.size());
    CHECK(line.size() <= kLongest);
    CHECK(line.find("duende-mlock[" + std::to_string(finished.pid) + "] report: ") <= 3);
    CHECK(std::all_of(line.begin(), line.end(),
                      [](char byte) { return byte >= ' ' && byte <= '~'; }));
    rest.remove_prefix(line.size() + 1);
  }
}

/// DUENDE_MLOCK_ONLY, where it holds one of the samples; another value may be accepted or not.
enum class Selected : unsigned char { yes, no, unknown };

Selected selected(const Launch& launch) {
  constexpr std::string_view kPrefix = "DUENDE_MLOCK_ONLY=";
  for (const std::string& entry : launch.environment) {
    if (entry.compare(0, kPrefix.size(), kPrefix) != 0) {
      continue;
    }
    const std::string value = entry.substr(kPrefix.size());
    if (value.empty() || value == "report" || value == "sh:report") {
      return Selected::yes;
    }
    return value == "sh" || value == "nbdkit:qemu-nbd" ? Selected::no : Selected::unknown;
  }
  return Selected::yes;
}

/// `finished` reached main with REQUIRED on.
void check_required_holds(const Launch& launch, const Finished& finished) {
  const bool asked =
      boolean(launch, "CURRENT", true).value || boolean(launch, "FUTURE", true).value;
  // A mapping is refused where MCL_FUTURE alone is on, and the limit in the way.
  const bool refused = number(section(finished.out, "mapped"), "refused") == EAGAIN;
  CHECK((!asked || refused || locked_after_mapping(finished) > 0));
  for (const std::string_view error : {"is not accepted", "unknown variable", "not locked"}) {
    CHECK(finished.err.find(error) == std::string::npos);
  }
}

void check_promises(const Launch& launch, const Finished& finished) {
  const Answer required = boolean(launch, "REQUIRED", false);
  const Selected concerned = selected(launch);
  const bool strict = required.malformed || required.value;
  const bool reached = finished.how() == "exit 0";
  CHECK((reached || finished.how() == "signal 6"));
  CHECK(finished.out.empty() == !reached);
  if (!strict || concerned == Selected::no) {
    CHECK(reached);
  } else if (concerned == Selected::yes && required.malformed) {
    CHECK(!reached);
  } else if (concerned == Selected::yes && reached) {
    check_required_holds(launch, finished);
  }
  check_lines(finished);
}

}  // namespace

TEST_SUITE("everywhere") {
  TEST_CASE("random environments") {
    const char* const chosen = std::getenv("TEST_SEED");
    const unsigned long seed = chosen == nullptr ? kDefaultSeed : std::strtoul(chosen, nullptr, 10);
    std::printf("seed %lu (TEST_SEED)\n", seed);
    std::vector<Identity> identities;
    for (const Identity identity :
         {Identity::root, Identity::user, Identity::user_may_lock, Identity::root_of_namespace}) {
      if (!missing_for(identity)) {
        identities.push_back(identity);
      }
    }
    identities.push_back(Identity::as_found);
    Random random(seed);
    unsigned reached = 0;
    for (unsigned i = 0; i < kRuns; ++i) {
      const Launch launch = random_launch(random, identities);
      CAPTURE(i);
      const std::string description = describe(launch);
      CAPTURE(description);
      const Finished finished = run(launch);
      check_promises(launch, finished);
      reached += finished.how() == "exit 0" ? 1 : 0;
    }
    // Neither promise is kept by never, or always, starting the program.
    CHECK(reached > kRuns / 4);
    CHECK(reached < kRuns * 9 / 10);
  }
}

}  // namespace duende::mlock::test
