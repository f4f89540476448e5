// SPDX-License-Identifier: MIT OR Apache-2.0
// systemd: the drop-in that has a service run locked, with a reason for each line.
#include <algorithm>
#include <cstdio>

#include "drop_ins.hpp"
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

std::string environment(const GivenSettings& settings, const std::string& preloaded) {
  std::string lines = format("Environment={}\n", unit_word("LD_PRELOAD=" + preloaded));
  for (const Setting& setting : settings.all) {
    lines += format("Environment={}\n", unit_word(setting.name + '=' + setting.value));
  }
  return lines;
}

/// The one for every service, of which some are named.
std::string text_for_all(const GivenSettings& settings, const std::string& library) {
  const auto& all = settings.all;
  if (std::none_of(all.begin(), all.end(),
                   [](const Setting& one) { return one.name == "DUENDE_MLOCK_ONLY"; })) {
    usage_error("--all-services takes --only NAME[:NAME...]: it would lock every service there is");
  }
  return format(
      "{} --all-services\n"
      "# To undo it: duende-mlock systemd --remove --all-services\n"
      "# A slice has no environment to set; this folder is that of all services (systemd 244).\n"
      "[Service]\n"
      "# The library is loaded into every service, and locks those programs alone. Units with "
      "User=,\n"
      "# a system call filter or a root folder need a drop-in of their own besides, which then "
      "takes\n"
      "# the place of this one: duende-mlock systemd --install UNIT\n"
      "{}\n"
      "# How much may be locked, by any service. Without this, it is 8 MiB.\n"
      "LimitMEMLOCK=infinity\n",
      drop_in_header(std::string(kAllServices)), environment(settings, library));
}

/// What the drop-in is made of.
class DropIn {
 public:
  DropIn(const SystemdOptions& options, const Unit& unit, std::string root, Words libraries)
      : options_(options), unit_(unit), root_(std::move(root)), libraries_(std::move(libraries)) {}

  [[nodiscard]] std::string text() {
    out_ = format(
        "{} {}\n"
        "# To undo it: duende-mlock systemd --remove {}\n"
        "[Service]\n"
        "# The library locks the daemon's memory before its main() runs.\n",
        drop_in_header(unit_.name()), unit_.name(), unit_.name());
    out_ += environment(options_.settings, join(libraries_, ":") + preloaded());
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
    const std::string value = Unit::value_of(unit_.environment(), "LD_PRELOAD");
    return value.empty() ? "" : ':' + value;
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
  const std::string program = unit.program();
  const std::string seen = unit.root_directory() + program;
  if (is_file(root + seen)) {
    const Reach reach = reach_of({root + library, root + seen, root + seen, {}, false});
    if (reach.obstacle) {
      warn(format("{} will not be locked: {}", unit.name(), reach.obstacle->text()));
    }
  }
}

/// What is printed or written for a unit; warns of what it cannot cure.
std::string text_for(const SystemdOptions& options, const std::string& name,
                     const std::string& root, const Words& libraries) {
  const Unit unit(name, root, false);
  const std::string where = root.empty() ? "" : " in " + root;
  warn_of(unit, libraries, root);
  if (!unit.exists() && options.install) {
    throw Failure(1, format("there is no unit {}{}", name, where));
  }
  if (!unit.exists()) {
    warn(format("there is no unit {}{}; this drop-in is for one that runs as root", name, where));
  }
  return DropIn(options, unit, root, libraries).text();
}

void need_sense(const SystemdOptions& options) {
  const bool changes = options.install || options.remove;
  if (options.list ? changes || options.all_services || !options.units.empty()
                   : options.units.empty() != options.all_services) {
    usage_error(options.list ? "--list goes with --root alone"
                             : "it takes either UNIT... or --all-services");
  }
  if (options.dry_run && !changes) {
    usage_error("--dry-run goes with --install or --remove");
  }
}

int list_units(const std::string& root) {
  for (const std::string& name : all_units(root)) {
    if (Unit(name, root, true).preloads_library()) {
      std::printf("%s\n", name.c_str());
    }
  }
  return 0;
}

}  // namespace

int systemd(const SystemdOptions& options) {
  need_sense(options);
  const std::string root = root_folder(options.root);
  if (options.list) {
    return list_units(root);
  }
  Words units;
  std::transform(options.units.begin(), options.units.end(), std::back_inserter(units), unit_name);
  if (options.all_services) {
    units.emplace_back(kAllServices);
  }
  DropIns drop_ins(root, options.dry_run);
  if (options.remove) {
    for (const std::string& unit : units) {
      drop_ins.remove(unit);
    }
    return drop_ins.finish();
  }
  const std::string library = locate_library(options.settings.library, root);
  Words libraries = {library};
  if (options.settings.wants_store()) {
    libraries.push_back(store_library(library, root));
  }
  Words texts;  // all of them before the first is written
  for (const std::string& unit : units) {
    texts.push_back(options.all_services ? text_for_all(options.settings, join(libraries, ":"))
                                         : text_for(options, unit, root, libraries));
  }
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (options.install) {
      drop_ins.install(units[i], texts[i]);
    } else {
      std::fputs(texts[i].c_str(), stdout);
    }
  }
  return drop_ins.finish();
}

}  // namespace duende::mlock::command
