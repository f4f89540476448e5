// SPDX-License-Identifier: MIT OR Apache-2.0
// duende-mlock: start a daemon with its memory locked, lock one that runs, see whether one is, and
// what is in the way.
#include <cstdio>
#include <cstdlib>

#include "command_line.hpp"

int main(int argc, char** argv) {
  using namespace duende::mlock::command;
  CommandLine line(Words(argv + (argc > 0 ? 1 : 0), argv + argc));
  try {
    return line.run();
  } catch (const Failure& failure) {
    warn(failure.what());
    if (failure.status == kUsage) {
      const std::string subcommand = line.subcommand();
      std::fprintf(stderr, "Try: duende-mlock %s--help\n",
                   subcommand.empty() ? "" : (subcommand + ' ').c_str());
    }
    return failure.status;
  } catch (const std::exception& error) {  // no memory
    warn(error.what());
    return EXIT_FAILURE;
  }
}
