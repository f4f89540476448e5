// SPDX-License-Identifier: MIT OR Apache-2.0
// systemd: the drop-in that has a service run locked, with a reason for each line.
#include <cstdio>

#include "file.hpp"
#include "library.hpp"
#include "subcommands.hpp"
#include "unit.hpp"

namespace duende::mlock::command {

namespace {

/// A word for Environment= and paths, where % begins a specifier.
std::string unit_word(std::string_view text) {
  std::string word;
  for (const char byte : escape(text, "\\\"")) {
    word += byte == '%' ? std::string("%%") : std::string(1, byte);
  }
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=/:.,%+@-";
  return consists_of(word, kPlain) ? word : '"' + word + '"';
}

/// What the drop-in is made of.
class DropIn {
 public:
  DropIn(const SystemdOptions& options, const Unit& unit, std::string root, Words libraries)
      : options_(options), unit_(unit), root_(std::move(root)), libraries_(std::move(libraries)) {}

  [[nodiscard]] std::string text() {
    out_ = format(
        "# {0}.d/{1}, as printed by: duende-mlock systemd {0}\n"
        "# To undo it, remove this file and run: systemctl daemon-reload\n"
        "[Service]\n"
        "# The library locks the daemon's memory before its main() runs.\n"
        "Environment={2}\n",
        unit_.name(), kDropInName, unit_word("LD_PRELOAD=" + join(libraries_, ":") + preloaded()));
    for (const Setting& setting : options_.settings.all) {
      out_ += format("Environment={}\n", unit_word(setting.name + '=' + setting.value));
    }
    add("How much may be locked. Without this, it is 8 MiB.", "LimitMEMLOCK=infinity");
    add_privileges();
    add_confinement();
    add("Locked memory makes the daemon a likelier victim when memory runs out, and those who swap "
        "to its\n# device would not survive it.",
        format("OOMScoreAdjust={}", options_.settings.oom_score()));
    add("The second line of defence: nothing of the unit goes to swap, nor what the lock does not "
        "reach.",
        "MemorySwapMax=0");
    out_ += format(
        "\n# To have the start fail if it is not locked (Type= notify, forking, dbus or "
        "exec):\n#ExecStartPost=+{} status $MAINPID\n",
        command());
    return out_;
  }

 private:
  void add(std::string_view reason, std::string_view line) {
    out_ += format("\n# {}\n{}\n", reason, line);
  }

  /// What the unit preloads already, which a second LD_PRELOAD= would replace.
  [[nodiscard]] std::string preloaded() const {
    const Unit::Environment environment = unit_.environment();
    const auto found = environment.find("LD_PRELOAD");
    return found == environment.end() || found->second.empty() ? "" : ':' + found->second;
  }

  void add_privileges() {
    const std::string user = unit_.user();
    const std::string needed = join(options_.settings.capabilities("CAP_"), " ");
    if (!user.empty()) {
      add(format("It runs as {}, not as root. Capabilities of the program's file would switch "
                 "LD_PRELOAD off;\n# these do not.",
                 user),
          "AmbientCapabilities=" + needed);
    }
    // Root has all that its unit leaves it; for the lock alone, the limit is enough. An empty set
    // is one, too; what is not in it does not become ambient, and nothing says so.
    const bool more = options_.settings.wants_io_flusher() || options_.settings.wants_realtime();
    if ((!user.empty() || more) && unit_.value("CapabilityBoundingSet")) {
      add("The unit limits which capabilities it can have; this is added to that.",
          "CapabilityBoundingSet=" + needed);
    }
  }

  [[nodiscard]] std::string paths() const {
    Words words;
    for (const std::string& library : libraries_) {
      words.push_back(unit_word(library));
    }
    return join(words, " ");
  }

  void add_confinement() {
    const bool realtime = options_.settings.wants_realtime();
    if (!unit_.value_or_empty("SystemCallFilter").empty()) {
      add("The unit filters system calls; these are added to those that pass.",
          realtime ? "SystemCallFilter=@memlock sched_setscheduler" : "SystemCallFilter=@memlock");
    }
    if (realtime && unit_.is_on("RestrictRealtime")) {
      add("The library is to set SCHED_RR, which the unit forbids.", "RestrictRealtime=no");
    }
    if (!unit_.value_or_empty("NoExecPaths").empty()) {
      add("The unit says what may be executed, and what is preloaded has to be.",
          "ExecPaths=" + paths());
    }
    if (!unit_.root_directory().empty() || !unit_.value_or_empty("RootDirectory").empty() ||
        !unit_.value_or_empty("RootImage").empty()) {
      add("The unit has a root folder of its own, where the library has to be seen.",
          "BindReadOnlyPaths=" + paths());
    }
  }

  /// The path of this command as seen in the root folder: where it is found there, or belongs.
  [[nodiscard]] std::string command() const {
    std::string here = own_path().substr(0, own_path().rfind('/'));
    here = after(here, root_).value_or(here);
    for (const std::string& folder :
         {here, std::string("/usr/local/bin"), std::string("/usr/bin")}) {
      if (exists(root_ + folder + "/duende-mlock")) {
        return folder + "/duende-mlock";
      }
    }
    return libraries_[0].starts_with("/usr/lib/") ? "/usr/bin/duende-mlock"
                                                  : "/usr/local/bin/duende-mlock";
  }

  const SystemdOptions& options_;
  const Unit& unit_;
  std::string root_;
  Words libraries_;  // the second one after the first
  std::string out_;
};

std::string unit_name(const std::string& operand) {
  constexpr std::string_view kBytes =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.@\\-";
  if (operand.empty() || !consists_of(operand, kBytes)) {
    usage_error(format("'{}' is not the name of a unit", operand));
  }
  for (const char* const other :
       {".socket", ".timer", ".path", ".mount", ".swap", ".slice", ".target"}) {
    if (operand.ends_with(other)) {
      usage_error(operand + " is not a service");
    }
  }
  return operand.ends_with(".service") ? operand : operand + ".service";
}

/// Without a slash at its end; empty for the machine's own.
std::string root_folder(const std::string& said) {
  if (said.empty()) {
    return "";
  }
  const auto root = real_path(said);
  if (!root || !status_of(*root) || !S_ISDIR(status_of(*root)->st_mode)) {
    usage_error("--root: there is no folder " + said);
  }
  return *root == "/" ? "" : *root;
}

void warn_of(const Unit& unit, const Words& libraries, const std::string& root) {
  const std::string& library = libraries[0];
  for (const std::string& one : libraries) {
    if (const auto obstacle = library_obstacle(one, root)) {
      warn(obstacle->text());
    }
  }
  if (!unit.exists()) {
    return;
  }
  if (const std::string file = unit.file_that_sets("LD_PRELOAD"); !file.empty()) {
    warn(
        format("{} will not be locked: {} sets LD_PRELOAD, and counts for more than the drop-in; "
               "name {} there as well",
               unit.name(), file, library));
  }
  const Words command = unit.command();
  const std::string program = command.empty() ? "" : command[0];
  const std::string seen = unit.root_directory() + program;
  if (is_file(root + seen)) {
    const Reach reach = reach_of({root + library, root + seen, root + seen, {}, false});
    if (reach.obstacle) {
      warn(format("{} will not be locked: {}", unit.name(), reach.obstacle->text()));
    }
  }
}

void install_drop_in(const std::string& unit, const std::string& root, const std::string& text) {
  const std::string folder = format("{}/etc/systemd/system/{}.d", root, unit);
  const std::string file = format("{}/{}", folder, kDropInName);
  if (!make_folders(folder) || !write_file(file, text, 0644)) {
    throw Failure(1, "cannot write to " + folder);
  }
  std::printf("Installed %s\n", file.c_str());
  if (root.empty() && exists("/run/systemd/system")) {
    (void)output_of({"systemctl", "daemon-reload"});
  }
  std::printf("It counts from the next start: systemctl restart %s\n", unit.c_str());
}

}  // namespace

int systemd(const SystemdOptions& options) {
  const std::string root = root_folder(options.root);
  const Unit unit(unit_name(options.unit), root, false);
  const std::string library = locate_library(options.settings.library, root);
  const std::string where = root.empty() ? "" : " in " + root;
  Words libraries = {library};
  if (options.settings.wants_store()) {
    libraries.push_back(store_library(library, root));
  }
  warn_of(unit, libraries, root);
  if (!unit.exists() && options.install) {
    throw Failure(1, format("there is no unit {}{}", unit.name(), where));
  }
  if (!unit.exists()) {
    warn(format("there is no unit {}{}; this drop-in is for one that runs as root", unit.name(),
                where));
  }
  const std::string text = DropIn(options, unit, root, libraries).text();
  if (options.install) {
    install_drop_in(unit.name(), root, text);
  } else {
    std::fputs(text.c_str(), stdout);
  }
  return 0;
}

}  // namespace duende::mlock::command
