// SPDX-License-Identifier: MIT OR Apache-2.0
#include "reach.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "elf.hpp"
#include "file.hpp"

namespace duende::mlock::command {

namespace {

using Way = Obstacle::Way;

Obstacle obstacle(Way way, std::string cause, std::string remedy) {
  return {way, std::move(cause), std::move(remedy)};
}

/// A loader takes libraries of its own architecture only.
std::optional<Obstacle> foreign_obstacle(const Target& target, const ElfFacts& program) {
  const auto library = read_elf(target.library);
  if (!library || program.same_architecture(*library)) {
    return std::nullopt;
  }
  return obstacle(Way::foreign,
                  format("{} is for {} and the library for {}", target.shown, architecture(program),
                         architecture(*library)),
                  "name a library for the program's architecture: --library PATH");
}

Obstacle static_obstacle(const Target& target, const ElfFacts& program) {
  const char* const how = program.linking == Linking::is_static ? "static" : "static-pie";
  return obstacle(Way::outside,
                  format("{} is linked statically ({}, no PT_INTERP), so that no loader reads "
                         "LD_PRELOAD",
                         target.shown, how),
                  "link it dynamically (Go: CGO_ENABLED=1), or let it call mlockall(2)");
}

/// The kernel takes no notice of a file's privileges then: execve(2).
bool privileges_are_ignored(const std::string& file) {
  struct statvfs place;
  return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
         (::statvfs(file.c_str(), &place) == 0 && (place.f_flag & ST_NOSUID) != 0);
}

/// The loader ignores LD_PRELOAD in a program that gains privileges by being started. Root gains
/// none from some of these files, but units and users who start them do.
std::optional<Obstacle> secure_obstacle(const Target& target) {
  const bool anybody = !target.by_this_process;
  const auto status = status_of(target.file);
  if (!status || (!anybody && privileges_are_ignored(target.file))) {
    return std::nullopt;
  }
  const auto gains = [&](std::string_view what, std::string_view remedy) {
    return obstacle(Way::privileged,
                    format("{} has {}, so that the loader ignores LD_PRELOAD", target.shown, what),
                    std::string(remedy));
  };
  if ((status->st_mode & S_ISUID) != 0 && (anybody || status->st_uid != ::getuid())) {
    return gains("its set-user-ID bit",
                 "take it off (chmod u-s) and start the program as the user it is to be");
  }
  if ((status->st_mode & S_ISGID) != 0 && (anybody || status->st_gid != ::getgid())) {
    return gains("its set-group-ID bit",
                 "take it off (chmod g-s) and start the program with the group it is to have");
  }
  if (::getxattr(target.file.c_str(), "security.capability", nullptr, 0) > 0 &&
      (anybody || ::getuid() != 0)) {
    return gains("file capabilities",
                 "remove them (setcap -r) and grant them with AmbientCapabilities= in its unit, or "
                 "setpriv --ambient-caps");
  }
  return std::nullopt;
}

constexpr unsigned kDeepest = 4;  // as the kernel has it

Reach reach_at(const Target& target, unsigned depth);

/// A script is reached if its interpreter is.
// NOLINTNEXTLINE(misc-no-recursion): no deeper than kDeepest
Reach reach_of_script(const Target& target, unsigned depth) {
  const std::string& shown = target.shown;
  const Descriptor file = open_file(target.file, O_RDONLY);
  std::string line(256, '\0');  // the kernel looks no further
  line.resize(static_cast<std::size_t>(
      std::max<ssize_t>(::read(file.number(), line.data(), line.size()), 0)));
  const auto command = after(std::string_view(line).substr(0, line.find('\n')), "#!");
  if (!command) {
    return {
        obstacle(Way::none, shown + " is neither an ELF program nor a script with an interpreter",
                 "begin it with a line like #!/bin/sh"),
        1, ""};
  }
  auto words = words_of(*command);
  const std::string interpreter(words.empty() ? "" : words[0]);
  if (!is_file(interpreter)) {
    return {obstacle(Way::none,
                     format("{} is a script for the interpreter {}, which does not exist", shown,
                            interpreter),
                     "correct its first line"),
            1, ""};
  }
  if (depth >= kDeepest) {
    return {obstacle(Way::none, shown + " is a script whose interpreters are nested too deep",
                     "name an ELF program in it"),
            1, ""};
  }
  Target next = target;
  next.file = next.shown = interpreter;
  next.arguments.assign(words.begin() + 1, words.end());
  Reach reach = reach_at(next, depth + 1);
  if (reach.obstacle) {
    reach.obstacle->cause = format("{} is a script, and {}", shown, reach.obstacle->cause);
  }
  return reach;
}

Obstacle env_takes(std::string_view word) {
  return obstacle(Way::none, format("env is told to take LD_PRELOAD away ({})", word),
                  "start the program without that");
}

/// The command line of env(1), taken apart from the front.
class EnvCommand {
 public:
  explicit EnvCommand(const Words& words) : words_(words.rbegin(), words.rend()) {}

  /// What it starts, with its arguments; nothing if it only prints.
  Words program() {
    while (!words_.empty() && words_.back().starts_with('-')) {
      const std::string word = take();
      if (word == "--") {
        break;
      }
      word.starts_with("--") ? long_option(word) : short_options(word);
    }
    while (!words_.empty() && words_.back().find('=') != std::string::npos) {
      const std::string word = take();
      if (word.starts_with("LD_PRELOAD=")) {
        taken_by_ = word;
      }
    }
    return {words_.rbegin(), words_.rend()};
  }
  /// The word that takes LD_PRELOAD away; empty if none does.
  [[nodiscard]] const std::string& taken_by() const { return taken_by_; }

 private:
  std::string take() {
    std::string word = words_.empty() ? "" : std::move(words_.back());
    if (!words_.empty()) {
      words_.pop_back();
    }
    return word;
  }

  /// Those with a value by any beginning of their names, as env itself takes them.
  void long_option(const std::string& word) {
    constexpr std::string_view kWithValue = "aCSu";  // --argv0, --chdir, --split-string, --unset
    const auto equals = word.find('=');
    for (const char letter : kWithValue) {
      if (word[2] == (letter | 0x20)) {
        option(letter, equals == word.npos ? take() : word.substr(equals + 1));
      }
    }
    if (word.starts_with("--ignore-e")) {
      taken_by_ = word;
    }
  }

  void short_options(const std::string& word) {
    if (word == "-") {
      taken_by_ = word;
    }
    for (std::size_t i = 1; i < word.size(); ++i) {
      if (std::string_view("aCSu").find(word[i]) != std::string_view::npos) {
        option(word[i], i + 1 < word.size() ? word.substr(i + 1) : take());
        return;
      }
      if (word[i] == 'i') {
        taken_by_ = word;
      }
    }
  }

  void option(char letter, std::string value) {
    if (letter == 'u' && value == "LD_PRELOAD") {
      taken_by_ = "-u " + value;
    } else if (letter == 'S') {
      std::erase_if(value, [](char byte) { return byte == '"' || byte == '\''; });
      const auto parts = words_of(value);
      words_.insert(words_.end(), parts.rbegin(), parts.rend());
    }
  }

  Words words_;  // the first one last
  std::string taken_by_;
};

/// env starts another program, perhaps without LD_PRELOAD.
// NOLINTNEXTLINE(misc-no-recursion): no deeper than kDeepest
Reach reach_of_env(const Target& target, unsigned depth) {
  EnvCommand command(target.arguments);
  const Words words = command.program();
  const auto program = find_program(words.empty() ? "" : words[0]);
  Reach reach;
  if (program && depth < kDeepest) {
    Target next = target;
    next.file = next.shown = *program;
    next.arguments.assign(words.begin() + 1, words.end());
    reach = reach_at(next, depth + 1);
    ++reach.executions;
  }
  if (!reach.obstacle && !command.taken_by().empty()) {
    reach.obstacle = env_takes(command.taken_by());
  }
  return reach;
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kDeepest
Reach reach_at(const Target& target, unsigned depth) {
  if (exists(target.file) && !is_readable(target.file)) {
    return {obstacle(Way::none,
                     target.shown + " cannot be read by this user, so that nobody can tell whether "
                                    "LD_PRELOAD reaches it",
                     "make it readable (chmod a+r)"),
            1, ""};
  }
  const auto facts = read_elf(target.file);
  if (!facts) {
    return reach_of_script(target, depth);
  }
  Reach reach = {foreign_obstacle(target, *facts), 1, facts->interpreter};
  const std::string_view name = base_name(target.file);
  // The loader itself is static, and reads LD_PRELOAD for what it is given.
  const bool is_loader =
      name.starts_with("ld.so") || (name.starts_with("ld-") && name.find(".so") != name.npos);
  if (!reach.obstacle && !is_loader) {
    reach.obstacle = facts->linking == Linking::dynamic
                         ? secure_obstacle(target)
                         : std::optional(static_obstacle(target, *facts));
  }
  return !reach.obstacle && name == "env" ? reach_of_env(target, depth) : reach;
}

}  // namespace

Reach reach_of(const Target& target) { return reach_at(target, 0); }

std::optional<std::string> find_program(const std::string& name) {
  if (name.find('/') != name.npos) {
    return name.starts_with('-') ? "./" + name : name;
  }
  const char* const path = std::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const std::string candidate = std::string(folder.empty() ? "." : folder) + '/' + name;
    if (!name.empty() && is_executable(candidate)) {
      return candidate.starts_with('-') ? "./" + candidate : candidate;
    }
  }
  return std::nullopt;
}

}  // namespace duende::mlock::command
