// SPDX-License-Identifier: MIT OR Apache-2.0
// An environment block made of strings, as execve(2) takes it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "preload/environment.hpp"

namespace duende::mlock::test {

class EnvironmentBlock {
 public:
  EnvironmentBlock(std::vector<std::string> entries) : entries_(std::move(entries)) {
    for (const std::string& entry : entries_) {
      block_.push_back(entry.c_str());
    }
    block_.push_back(nullptr);
  }
  EnvironmentBlock(const EnvironmentBlock&) = delete;
  EnvironmentBlock& operator=(const EnvironmentBlock&) = delete;

  [[nodiscard]] operator preload::Environment() const noexcept {
    return preload::Environment(block_.data());
  }

 private:
  std::vector<std::string> entries_;
  std::vector<const char*> block_;
};

}  // namespace duende::mlock::test
