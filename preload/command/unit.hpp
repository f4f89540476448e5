// SPDX-License-Identifier: MIT OR Apache-2.0
// A systemd service as its unit files have it: systemd.unit(5), systemd.exec(5).
#pragma once

#include <cstdint>
#include <map>

#include "text.hpp"

namespace duende::mlock::command {

inline constexpr std::string_view kDropInName = "50-duende-mlock.conf";
/// What stands for the unit in the name of the folder whose drop-ins are for all of them (systemd
/// 244).
inline constexpr std::string_view kAllServices = "service";

/// Line by line, those that end with a backslash joined with the next: key and value of each
/// assignment in the section [Service].
struct Assignment {
  std::string key;
  std::string value;
};
[[nodiscard]] std::vector<Assignment> parse_unit(std::string_view text);

/// A value in words, as systemd.syntax(7) has them: quotes and backslashes count.
[[nodiscard]] Words unit_words(std::string_view value);

/// In bytes: 4K, 10%, infinity.
struct UnitSize {
  bool infinite = false;
  std::uint64_t bytes = 0;
};
[[nodiscard]] std::optional<UnitSize> parse_unit_size(std::string_view text);

class Unit {
 public:
  /// `root`: the folder that paths begin in, without a slash at its end. The command's own drop-in
  /// is left out without `with_ours`. The machine's own systemd is asked what its units are, if it
  /// runs; it does not tell of another root.
  Unit(std::string name, std::string root, bool with_ours);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool exists() const noexcept { return exists_; }

  /// All values of a key, in their order.
  [[nodiscard]] Words values(std::string_view key) const;
  /// The last one; nothing if there is none, while an empty one is a value.
  [[nodiscard]] std::optional<std::string> value(std::string_view key) const;
  [[nodiscard]] std::string value_or_empty(std::string_view key) const {
    return value(key).value_or("");
  }
  [[nodiscard]] bool is_on(std::string_view key) const;
  [[nodiscard]] std::optional<UnitSize> size(std::string_view key) const {
    return parse_unit_size(value_or_empty(key));
  }
  /// Whether a set has one of the names. The first value has the set begin empty or, with ~, full;
  /// without any, it is full. An empty one has it begin anew, or leaves the set empty.
  enum class Empty : unsigned char { begins_anew, is_empty };
  [[nodiscard]] bool set_has(std::string_view key, const Words& names, Empty empty) const;

  /// What it starts, without the characters that modify how.
  [[nodiscard]] Words command() const;
  [[nodiscard]] std::string program() const {
    const Words words = command();
    return words.empty() ? "" : words[0];
  }
  /// The user that it runs as; empty for root.
  [[nodiscard]] std::string user() const;
  /// Where its paths are: RootDirectory=, or empty.
  [[nodiscard]] std::string root_directory() const;

  using Environment = std::map<std::string, std::string, std::less<>>;
  /// What it is started with: what PassEnvironment= takes from systemd's own, Environment=, the
  /// files of EnvironmentFile= that can be read, without what UnsetEnvironment= names.
  [[nodiscard]] Environment environment() const;
  /// Empty where it is not set.
  [[nodiscard]] static std::string value_of(const Environment& environment, std::string_view name);
  /// The file of EnvironmentFile= that sets a variable, and so counts for more than Environment=;
  /// empty if none does.
  [[nodiscard]] std::string file_that_sets(std::string_view variable) const;
  /// Whether the library is to lock the program that it starts.
  [[nodiscard]] bool preloads_library() const;

 private:
  void add(std::string_view text);
  bool ask_systemd(bool with_ours);
  void read(const std::string& file);
  void read_drop_ins(bool with_ours);
  /// %i and the like: what they stand for in this unit.
  [[nodiscard]] std::string expand(std::string_view text) const;
  /// The words of all values, from the last empty one on.
  [[nodiscard]] Words list(std::string_view key) const;
  [[nodiscard]] Words environment_files() const;

  std::string name_;
  std::string template_name_;
  std::string instance_;
  std::string root_;
  bool exists_ = false;
  bool told_ = false;  // by systemd
  std::vector<Assignment> assignments_;
};

/// Whether systemd runs this machine, whose units are in that root: sd_booted(3).
[[nodiscard]] bool systemd_runs(const std::string& root);
/// The services that have unit files here.
[[nodiscard]] Words all_units(const std::string& root);

/// Its main process, or one that it has, as systemd says; 0 if it does not run.
[[nodiscard]] int running_process(const std::string& unit);

}  // namespace duende::mlock::command
