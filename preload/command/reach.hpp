// SPDX-License-Identifier: MIT OR Apache-2.0
// Whether LD_PRELOAD reaches a program, and what else does if not.
#pragma once

#include "text.hpp"

namespace duende::mlock::command {

/// What keeps the library from being used in a program.
struct Obstacle {
  enum class Way : unsigned char {
    outside,     // lock it from outside
    foreign,     // the same, and keep the library away from it
    privileged,  // the same, by somebody who may trace it without taking its privileges
    none,        // it will not start either, or nobody can tell
  };
  Way way = Way::outside;
  std::string cause;
  std::string remedy;

  [[nodiscard]] std::string text() const { return cause + "; " + remedy; }
};

struct Reach {
  std::optional<Obstacle> obstacle;
  /// How many programs are executed, one in the place of the other, until it is the one in
  /// question: 2 for env(1) and what that starts.
  unsigned executions = 1;
  /// The loader of the program, if it has one; for a script, that of its interpreter.
  std::string interpreter;
};

struct Target {
  std::string library;
  std::string file;   // where it can be read
  std::string shown;  // how messages name it
  Words arguments;
  /// Started by this process; else by anybody, to whom privileges of the file may mean something.
  bool by_this_process = false;
};

[[nodiscard]] Reach reach_of(const Target& target);

/// The path of a program, found as a shell would find it.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

}  // namespace duende::mlock::command
