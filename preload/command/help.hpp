// SPDX-License-Identifier: MIT OR Apache-2.0
// How help looks, and its longer texts.
#pragma once

#include <CLI/Formatter.hpp>

#include <map>
#include <string>

namespace duende::mlock::command {

/// CLI11's help with a usage line of our own, flags as --[no-]name, and lines of 80 characters.
class Help : public CLI::Formatter {
 public:
  /// What follows the name of the command or subcommand.
  void set_usage(const CLI::App* app, std::string text) { usages_[app] = std::move(text); }

  /// All of it, as what CLI11 itself puts between the parts and wraps differs between its versions.
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const override {
    return usage(app, name) + options(app) + subcommands(app) + '\n' + app->get_footer() + '\n';
  }

 private:
  static constexpr std::size_t kColumn = 25;

  [[nodiscard]] std::string usage(const CLI::App* app, const std::string& name) const {
    std::string meaning = app->get_description() + '.';
    meaning[0] =
        meaning[0] >= 'a' && meaning[0] <= 'z' ? static_cast<char>(meaning[0] - 32) : meaning[0];
    return "Usage: " + name + ' ' + usages_.at(app) + "\n\n" + wrap(meaning, 0);
  }

  /// By their groups, of which CLI11 has named that of --help.
  static std::string options(const CLI::App* app) {
    std::string out;
    for (const std::string& group : app->get_groups()) {
      const bool unnamed = group == app->get_help_ptr()->get_group();
      out += '\n' + (unnamed ? "Options" : group) + ":\n";
      for (const CLI::Option* const option : app->get_options()) {
        out += option->get_positional() || option->get_group() != group ? "" : this_option(option);
      }
    }
    return out;
  }

  static std::string this_option(const CLI::Option* option) {
    const auto& names = option->get_lnames();
    return entry((names.size() == 2 ? "--[no-]" : "--") + names[0] +
                     (option->get_expected_max() == 0 ? "" : ' ' + option->get_type_name()),
                 option->get_description());
  }

  static std::string subcommands(const CLI::App* app) {
    std::string out;
    for (const CLI::App* const sub : app->get_subcommands({})) {
      out +=
          (out.empty() ? "\nSubcommands:\n" : "") + entry(sub->get_name(), sub->get_description());
    }
    return out;
  }

  static std::string entry(const std::string& name, const std::string& text) {
    std::string out = "  " + name;
    if (out.size() + 2 > kColumn) {
      out += '\n' + std::string(kColumn, ' ');
    }
    out.resize(std::max(out.size(), kColumn), ' ');
    return out + wrap(text, kColumn);
  }

  /// Into lines that begin at a column; the first is there already.
  static std::string wrap(const std::string& text, std::size_t column) {
    constexpr std::size_t kWidth = 80;
    std::string out;
    std::size_t at = column;
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = std::min(text.find(' ', begin), text.size());
      if (at + end - begin > kWidth && at > column) {
        out.back() = '\n';
        out += std::string(column, ' ');
        at = column;
      }
      out += text.substr(begin, end - begin) + ' ';
      at += end - begin + 1;
      begin = end + 1;
    }
    if (!out.empty()) {
      out.back() = '\n';
    }
    return out;
  }

  std::map<const CLI::App*, std::string> usages_;
};

inline constexpr const char kRunMeaning[] =
    "start a command with its memory locked: by the library where LD_PRELOAD reaches it, else from "
    "outside before its first instruction";
inline constexpr const char kRunText[] =
    R"(COMMAND takes the place of this process and keeps its PID. It starts with the
library in LD_PRELOAD, which locks it before its main() runs, and what it forks
or executes as well.

What LD_PRELOAD does not reach (a static program, one with a set-user-ID or
set-group-ID bit or file capabilities, one of another architecture, a script for
such an interpreter, or any without the library) is stopped before its first
instruction and locked from outside, by ptrace(2). Its children and what it
executes later are then not followed: see "attach --tree". What neither reaches
is not started. Only COMMAND is looked at (and what env starts), not what it
starts in turn.

Exit status: that of COMMAND; 2 usage error, 125 refused, 126 COMMAND cannot be
executed, 127 not found.)";

inline constexpr const char kAttachMeaning[] =
    "lock processes that run, without a restart; once more, after they have mapped more";
inline constexpr const char kAttachText[] =
    R"(One thread of the process is stopped for a moment and makes the call; what it
waited in goes on as if nothing had been. Future memory is locked only where the
limit is infinite, or --future says so. Children that are forked later are not
locked. In a unit (Type= notify, forking, dbus or exec: of simple, the program
may not have been executed yet):
  ExecStartPost=+duende-mlock attach --tree $MAINPID

Exit status: 0 if all are locked, 1 if one is not, 2 usage error.)";
inline constexpr const char kUnlockMeaning[] = "take the locks of processes that run away again";

inline constexpr const char kStatusMeaning[] =
    "whether processes, and all that descend from them, are locked; the exit status says it too";
inline constexpr const char kStatusText[] =
    R"(A NAME is that of the kernel, as in "ps -o comm". Without operands: every
process that has the library loaded or in LD_PRELOAD.

LOCKED    yes; partly (more than 1% of the resident memory that could be swapped
          is not, or some is in swap); unknown (it may not be seen); no
BY        library: it is loaded in the process; itself: it is not
CHARGED   address space that counts against the limit (VmLck)
RESIDENT  VmRSS
PINNED    resident and locked, shared pages divided among their users (Locked in
          smaps_rollup)
SWAPPED   VmSwap
LIMIT     soft RLIMIT_MEMLOCK
FUTURE    yes: every mapping that could be swapped is locked, so new ones have
          been so far; no: some are not. (The kernel does not show the
          MCL_FUTURE flag itself.)
ONFAULT   locked mappings are locked as they are touched (yes), populated (no),
          or of both kinds
FLUSHER   threads that are IO flushers, of all threads
CHILDREN  descendants that are locked, of all descendants
"-" is what cannot be known, mostly for want of permission.

Exit status: 0 if all are locked, with what descends from them; 1 if one is not,
cannot be seen, is gone or was not found; 2 usage error.)";

inline constexpr const char kCheckMeaning[] =
    "whether the memory of a command started here, a process, or a unit can be locked, with one "
    "fix for each thing in the way";
inline constexpr const char kCheckText[] =
    R"(Nothing is changed. (To see whether the library loads and locks, a cat runs
under it.)

Exit status: 0 if nothing is in the way, 1 if something is, 2 usage error.)";

inline constexpr const char kExplainMeaning[] =
    "what a line of the library, of this command or of the loader means, and what to do";
inline constexpr const char kExplainText[] =
    R"(Without a LINE, those on stdin; what a log puts before a line does not matter:
  journalctl -u nbd-server -p warning | duende-mlock explain

Exit status: 0 if each line is known, 1 if one is not, 2 usage error.)";

inline constexpr const char kSystemdMeaning[] =
    "the drop-in that has a service run locked, by what its unit files say of it";
inline constexpr const char kDockerMeaning[] =
    "a Dockerfile that adds the library to an image, and the flags for docker run";
inline constexpr const char kComposeMeaning[] =
    "an override file that has a service of Docker Compose run locked";
inline constexpr const char kPodmanMeaning[] = "the flags for podman run, and a Quadlet unit";
inline constexpr const char kKubernetesMeaning[] =
    "a manifest: an init container copies the library to a volume, and the daemon's preloads it";
inline constexpr const char kInstallMeaning[] =
    "copy this program and the library to a folder, such as a volume that containers share";
inline constexpr const char kCompletionMeaning[] =
    "the script that completes command lines in a shell";

}  // namespace duende::mlock::command
