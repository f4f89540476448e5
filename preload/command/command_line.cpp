// SPDX-License-Identifier: MIT OR Apache-2.0
#include "command_line.hpp"

// CLI11 includes <iostream> for streams that nothing here uses, and which libstdc++ before GCC 13
// would make ready before main(): as long as all of the command line takes.
#include <istream>
#define _GLIBCXX_IOSTREAM 1  // NOLINT(bugprone-reserved-identifier,cert-*)
namespace std {
extern ostream cout;  // NOLINT(cert-dcl58-cpp)
extern ostream cerr;  // NOLINT(cert-dcl58-cpp)
}  // namespace std

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "../settings.hpp"
#include "completion.hpp"
#include "help.hpp"

namespace duende::mlock::command {

namespace {

// ---- settings: an option for each variable of the library

struct VariableText {
  std::string_view name;
  std::string_view accepted;
  std::string_view fallback;
  std::string_view meaning;
};
#define BOOLEAN "BOOLEAN"
#define VARIABLE(name, accepted, fallback, meaning, parse) {#name, accepted, fallback, meaning},
constexpr VariableText kVariables[] = {
#include "../variables.inc"
};
#undef VARIABLE
#undef BOOLEAN

std::string option_name(std::string_view variable) {
  std::string name;
  for (const char byte : variable) {
    name += byte == '_' ? '-' : static_cast<char>(byte | 0x20);
  }
  return name;
}

/// "lazy full off" are words to choose from, "0 to 99" is not.
bool is_choice(std::string_view accepted) {
  return accepted.find(" to ") == accepted.npos && accepted.find(',') == accepted.npos;
}

std::string help_of(const VariableText& variable) {
  std::string text(variable.meaning);
  std::erase(text, '`');
  const std::string range = is_choice(variable.accepted) ? "" : std::string(variable.accepted);
  const std::string fallback = variable.accepted != "BOOLEAN" ? std::string(variable.fallback)
                               : variable.fallback == "1"     ? "yes"
                                                              : "no";
  return format("{} ({}{}default: {})", text, range, range.empty() ? "" : "; ", fallback);
}

}  // namespace

/// The values that options gave to the variables, as the library itself reads them.
class Values {
 public:
  /// Those of the variables that may be wanted: each takes CLI11 longer than a system call.
  void add_to(CLI::App& app, const std::function<bool(std::string_view)>& is_wanted) {
    for (const VariableText& variable : kVariables) {
      if (is_wanted(variable.name)) {
        add(app, variable);
      }
    }
  }

  [[nodiscard]] GivenSettings given() const {
    GivenSettings settings;
    settings.library = library;
    for (const VariableText& variable : kVariables) {
      const auto value = values_.find(variable.name);
      if (value != values_.end() && !value->second.empty()) {
        check(variable, value->second);
        settings.all.push_back({format("{}{}", preload::kPrefix, variable.name), value->second});
      }
    }
    return settings;
  }

  std::string library;

 private:
  void add(CLI::App& app, const VariableText& variable) {
    std::string& value = values_[variable.name];
    const std::string name = option_name(variable.name);
    CLI::Option* option = nullptr;
    if (variable.name == "ONFAULT") {
      option =
          app.add_flag("--on-fault{1}", value, "lock each page as it is first touched (default)");
      app.add_flag("--populate{0}", value, "populate all memory instead, now and later")
          ->excludes(option)
          ->group("Settings");
    } else if (variable.name == "PROFILE") {
      option = app.add_flag("--swap-device{swap-device}", value,
                            "for a daemon that serves a swap device: IO flusher, SCHED_RR 1");
    } else if (variable.accepted == "BOOLEAN") {
      option = app.add_flag(format("--{0}{{1}},--no-{0}{{0}}", name), value, help_of(variable));
    } else {
      option = app.add_option("--" + name, value, help_of(variable));
      std::string choice(variable.accepted);
      std::replace(choice.begin(), choice.end(), ' ', '|');
      option->type_name(is_choice(variable.accepted) ? choice : "VALUE");
      option->check([](const std::string& text) { return text.empty() ? "needs a value" : ""; },
                    "");
    }
    option->group("Settings")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }

  /// The library would report a value that it does not take, and go on with the default.
  static void check(const VariableText& variable, const std::string& value) {
    preload::Settings settings;
    if (!preload::parse(*preload::find_variable(variable.name), value, settings) ||
        printable(value) != value) {
      usage_error(
          format("--{} takes {}, not '{}'", option_name(variable.name), variable.accepted, value));
    }
  }

  std::map<std::string_view, std::string> values_;
};

// ---- subcommands

struct CommandLine::Parts {
  struct Subcommand {
    CLI::App* app;
    Kind operands;
    std::function<int()> act;
  };

  std::shared_ptr<Help> help = std::make_shared<Help>();
  CLI::App app{"Keeps the memory of a daemon that serves a swap device out of swap"};
  std::map<std::string, Subcommand> subcommands;
  const Words& words;
  std::string chosen = words.empty() || words[0] == "help" ? "" : words[0];
  bool all = chosen.empty() || chosen.starts_with('-') || chosen == "completion";
  bool shows_help = all || mentions("--help") || mentions("-h");
  Values values;
  RunOptions run;
  AttachOptions attach;
  AttachOptions unlock;
  StatusOptions status;
  CheckOptions check;
  ExplainOptions explain;
  SystemdOptions systemd;
  ImageOptions image;
  KubernetesOptions kubernetes;
  InstallOptions install;
  std::string shell;

  /// Only what the command line is about, as all of it would take longer than most of what they do.
  explicit Parts(const Words& given) : words(given) {
    app.name("duende-mlock")->formatter(help);
    app.set_help_flag("--help,-h", "this text");
    app.require_subcommand(1);
    help->set_usage(&app, "SUBCOMMAND [OPTION...] [OPERAND...]");
    add_if({"run"}, &Parts::add_run);
    add_if({"attach", "unlock"}, &Parts::add_attach);
    add_if({"status"}, &Parts::add_status);
    add_if({"check"}, &Parts::add_check);
    add_if({"explain"}, &Parts::add_explain);
    add_if({"systemd"}, &Parts::add_systemd);
    add_if({"docker", "compose", "podman"}, &Parts::add_images);
    add_if({"kubernetes"}, &Parts::add_kubernetes);
    add_if({"install"}, &Parts::add_install);
    add_if({"completion"}, &Parts::add_completion);
    app.footer("Each has --help. See also duende-mlock(1) and libduende_mlock_preload(7).");
  }

  void add_if(const Words& names, void (Parts::*add_them)()) {
    if (all || std::find(names.begin(), names.end(), chosen) != names.end()) {
      (this->*add_them)();
    }
  }

  [[nodiscard]] bool mentions(std::string_view option) const {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
      return word.substr(0, word.find('=')) == option;
    });
  }
  [[nodiscard]] bool is_wanted(std::string_view variable) const {
    const std::string name = option_name(variable);
    return shows_help || mentions("--" + name) || mentions("--no-" + name) ||
           (variable == "ONFAULT" && (mentions("--on-fault") || mentions("--populate"))) ||
           (variable == "PROFILE" && mentions("--swap-device"));
  }

  CLI::App& add(const std::string& name, const std::string& usage, const std::string& meaning,
                Kind operands, std::function<int()> act) {
    CLI::App* const sub = app.add_subcommand(name, meaning);
    help->set_usage(sub, usage);
    subcommands[name] = {sub, operands, std::move(act)};
    return *sub;
  }
  template <class T>
  static CLI::Option* value(CLI::App& sub, const std::string& name, T& target, const char* type,
                            const std::string& meaning) {
    return sub.add_option(name, target, meaning)
        ->type_name(type)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  static void add_library(CLI::App& sub, std::string& library, const std::string& meaning) {
    value(sub, "--library", library, "PATH", meaning);
  }
  void add_settings(CLI::App& sub, const std::string& library = "the library to preload") {
    add_library(sub, values.library, library);
    values.add_to(sub, [this](std::string_view name) { return is_wanted(name); });
  }
  template <class T>
  static CLI::Option* operand(CLI::App& sub, const std::string& name, T& value) {
    return sub.add_option(name, value);
  }

  void add_run() {
    CLI::App& sub =
        add("run", "[OPTION...] [--] COMMAND [ARGUMENT...]", kRunMeaning, Kind::command, [this] {
          run.settings = values.given();
          return command::run(run);
        });
    sub.add_flag("--best-effort", run.best_effort, "start it unlocked rather than not at all");
    sub.add_flag("--verify", run.verify,
                 "look at the lock from outside before its main() runs (default with --required)");
    add_settings(sub);
    sub.footer(kRunText);
  }

  void add_attach() {
    for (AttachOptions* const options : {&attach, &unlock}) {
      const bool unlocks = options == &unlock;
      options->unlock = unlocks;
      CLI::App& sub =
          add(unlocks ? "unlock" : "attach", "[OPTION...] PID|UNIT...",
              unlocks ? kUnlockMeaning : kAttachMeaning, Kind::process, [this, options] {
                options->settings = values.given();
                return command::attach(*options);
              });
      operand(sub, "PID", options->targets)->required();
      sub.add_flag("--tree", options->tree, "and all that descend from it");
      if (!unlocks) {
        constexpr std::string_view kOnes[] = {"REQUIRED",   "FUTURE",   "ONFAULT", "RAISE_LIMIT",
                                              "IO_FLUSHER", "REALTIME", "PROFILE", "LOG"};
        values.add_to(sub, [&](std::string_view name) {
          return std::find(std::begin(kOnes), std::end(kOnes), name) != std::end(kOnes) &&
                 is_wanted(name);
        });
        sub.footer(kAttachText);
      }
    }
  }

  void add_status() {
    CLI::App& sub = add("status", "[OPTION...] [--] [PID|NAME...]", kStatusMeaning, Kind::process,
                        [this] { return command::status(status); });
    operand(sub, "PID", status.targets);
    const auto add_format = [&](const char* name, Format value, const char* meaning) {
      sub.add_flag_callback(
          name, [this, value] { status.format = value; }, meaning);
    };
    add_format("--json", Format::json, "a JSON array");
    add_format("--prometheus", Format::prometheus, "metrics for the textfile collector");
    add_format("--quiet", Format::quiet, "nothing but the exit status");
    value(sub, "--output", status.output, "PATH", "into this file, which is never half written");
    sub.add_flag_callback(
        "--no-children", [this] { status.children = false; },
        "what descends from a process does not count");
    value(sub, "--watch", status.watch, "SECONDS", "look again every so many seconds")
        ->check(
            [](const std::string& text) {
              const auto seconds = number(text);
              const bool good = seconds && *seconds >= 1 && *seconds <= 86400;
              return good ? "" : format("takes 1 to 86400 seconds, not '{}'", printable(text));
            },
            "");
    sub.footer(kStatusText);
  }

  void add_check() {
    CLI::App& sub = add("check", "[OPTION...] [--] [COMMAND|PID|UNIT]", kCheckMeaning, Kind::check,
                        [this] { return command::check(check); });
    CLI::Option* const target = operand(sub, "COMMAND", check.target);
    add_library(sub, check.library, "the library to preload");
    sub.add_flag("--all", check.all,
                 "every unit that preloads the library, for cron and monitoring")
        ->excludes(target);
    sub.footer(kCheckText);
  }

  void add_explain() {
    CLI::App& sub = add("explain", "[--all] [--] [LINE...]", kExplainMeaning, Kind::nothing,
                        [this] { return command::explain(explain); });
    CLI::Option* const lines = operand(sub, "LINE", explain.lines);
    sub.add_flag("--all", explain.all, "all that the manual has")->excludes(lines);
    sub.footer(kExplainText);
  }

  void add_systemd() {
    CLI::App& unit = add("systemd", "[OPTION...] UNIT...", kSystemdMeaning, Kind::unit, [this] {
      systemd.settings = values.given();
      return command::systemd(systemd);
    });
    operand(unit, "UNIT", systemd.units);
    CLI::Option* const install =
        unit.add_flag("--install", systemd.install,
                      "write it to /etc/systemd/system/UNIT.d/50-duende-mlock.conf");
    unit.add_flag("--remove", systemd.remove, "take it away again, if this command wrote it")
        ->excludes(install);
    unit.add_flag("--dry-run", systemd.dry_run, "only say what would be written or removed");
    unit.add_flag("--all-services", systemd.all_services,
                  "one drop-in for every service (systemd 244), of which --only names some");
    unit.add_flag("--list", systemd.list, "name the units that preload the library");
    value(unit, "--root", systemd.root, "DIR",
          "the units are in this root folder (an image), and all paths in them");
    add_settings(unit);
  }

  void add_images() {
    add_image("docker", "IMAGE", kDockerMeaning, command::docker);
    add_image("compose", "SERVICE", kComposeMeaning, command::compose);
    add_image("podman", "IMAGE", kPodmanMeaning, command::podman);
  }

  void add_image(const std::string& name, const std::string& what, const std::string& meaning,
                 int (*act)(const ImageOptions&)) {
    CLI::App& sub = add(name, "[OPTION...] " + what, meaning, Kind::nothing, [this, act] {
      image.settings = values.given();
      return act(image);
    });
    operand(sub, what, image.image)->required();
    value(sub, "--memory", image.memory, "SIZE", "limit its memory, as 512m, with no swap besides");
    add_settings(sub, "the library to add");
  }

  void add_kubernetes() {
    CLI::App& sub = add("kubernetes", "[OPTION...]", kKubernetesMeaning, Kind::nothing, [this] {
      kubernetes.settings = values.given();
      if (subcommands.at("kubernetes").app->count("--library") == 0) {
        kubernetes.settings.library.clear();  // DUENDE_MLOCK_LIBRARY is one here, not there
      }
      return command::kubernetes(kubernetes);
    });
    value(sub, "--name", kubernetes.name, "NAME", "of the workload (default: locked-daemon)");
    value(sub, "--image", kubernetes.image, "IMAGE", "the daemon's image (default: daemon)");
    value(sub, "--library-image", kubernetes.library_image, "IMAGE",
          "one with this program and the library (default: duende-mlock)");
    value(sub, "--container", kubernetes.container, "NAME",
          "of the workload's, for --kustomize (default: daemon)");
    CLI::Option* const daemonset = sub.add_flag("--daemonset", kubernetes.daemonset,
                                                "one on each node, instead of a Deployment");
    CLI::Option* const policy =
        sub.add_flag("--policy", kubernetes.policy,
                     "an admission policy instead, for pods with an annotation (1.36)")
            ->excludes(daemonset);
    sub.add_flag("--kustomize", kubernetes.kustomize, "a Kustomize component instead")
        ->excludes(daemonset)
        ->excludes(policy);
    add_settings(sub, "where the library is in its image, if not beside this program");
  }

  void add_install() {
    CLI::App& copy = add("install", "[OPTION...] DIR", kInstallMeaning, Kind::folder,
                         [this] { return command::install(install); });
    operand(copy, "DIR", install.folder)->required();
    add_library(copy, install.library, "the library to copy");
  }

  void add_completion() {
    CLI::App& script =
        add("completion", "bash|zsh|fish", kCompletionMeaning, Kind::nothing, [this] {
          if (shell != "bash" && shell != "zsh" && shell != "fish") {
            usage_error(format("completion takes bash, zsh or fish, not '{}'", printable(shell)));
          }
          std::fputs(completion_script(shell, completed()).c_str(), stdout);
          return 0;
        });
    operand(script, "SHELL", shell)->required();
  }

  // ---- completion

  static CompletedOption completed(const CLI::Option& option, const std::string& name) {
    CompletedOption out;
    out.name = "--" + name;
    out.meaning = option.get_description();
    out.takes_value = option.get_expected_max() != 0;
    const std::string type = option.get_type_name();
    if (out.takes_value && type.find('|') != type.npos) {
      for (const std::string_view value : split(type, '|')) {
        out.values.emplace_back(value);
      }
    }
    out.kind = type == "PATH" ? Kind::file : type == "DIR" ? Kind::folder : Kind::nothing;
    return out;
  }

  [[nodiscard]] std::vector<CompletedSubcommand> completed() {
    std::vector<CompletedSubcommand> all;
    for (const CLI::App* const sub : app.get_subcommands({})) {
      const Subcommand& known = subcommands.at(sub->get_name());
      all.push_back({sub->get_name(), sub->get_description(), known.operands, {}});
      for (const CLI::Option* const option : sub->get_options()) {
        for (const std::string& name : option->get_lnames()) {
          all.back().options.push_back(completed(*option, name));
        }
      }
    }
    return all;
  }
};

namespace {

/// An option without its value, which CLI11 would look for in the next word.
void refuse_empty_values(const Words& words) {
  for (const std::string& word : words) {
    if (word.starts_with("--") && word.ends_with('=')) {
      usage_error(word.substr(0, word.size() - 1) + " needs a value");
    }
  }
}

/// Takes what begins with the first word that is neither an option nor its value.
Words split_off_command(const CLI::App& app, Words& words) {
  std::size_t i = 1;  // behind the subcommand
  for (; i < words.size() && words[i].starts_with('-') && words[i] != "--"; ++i) {
    const CLI::Option* const option = app.get_option_no_throw(words[i]);
    i += option != nullptr && option->get_expected_max() != 0 ? 1 : 0;
  }
  const std::size_t begin =
      std::min(i + (i < words.size() && words[i] == "--" ? 1 : 0), words.size());
  Words command(words.begin() + static_cast<std::ptrdiff_t>(begin), words.end());
  words.resize(std::min(i, words.size()));
  return command;
}

/// Takes a variable out of the environment.
std::string take_variable(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

}  // namespace

CommandLine::CommandLine(Words words) : words_(std::move(words)) {
  // A command without options is what it is; CLI11 takes longer to begin than that to be started.
  if (words_.size() < 2 || words_[0] != "run" || words_[1].starts_with('-')) {
    parts_ = std::make_unique<Parts>(words_);
  }
}
CommandLine::~CommandLine() = default;

std::string CommandLine::subcommand() const {
  return !parts_ ? words_[0] : parts_->subcommands.count(parts_->chosen) != 0 ? parts_->chosen : "";
}

int CommandLine::run() {
  Words words = words_;
  // Not for the helpers started here: where the library is preloaded into everything, each would
  // lock itself and say so. And the library knows no variable DUENDE_MLOCK_LIBRARY.
  const std::string preloaded = take_variable("LD_PRELOAD");
  const std::string library = take_variable("DUENDE_MLOCK_LIBRARY");
  if (!parts_) {
    return command::run({.settings = {.all = {}, .library = library},
                         .command = {words.begin() + 1, words.end()},
                         .preloaded = preloaded});
  }
  parts_->run.preloaded = preloaded;
  parts_->values.library = parts_->check.library = parts_->install.library = library;
  if (words.empty()) {
    usage_error("a subcommand is missing");
  }
  if (words[0] == "help") {
    words[0] = "--help";
  }
  if (subcommand().empty() && !words[0].starts_with('-')) {
    usage_error(format("there is no subcommand '{}'", words[0]));
  }
  if (subcommand() == "run") {
    parts_->run.command = split_off_command(*parts_->subcommands.at("run").app, words);
  }
  refuse_empty_values(words);
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    parts_->app.parse(words);
  } catch (const CLI::CallForHelp&) {
    std::fputs(parts_->app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    usage_error(error.what());
  }
  if (subcommand() == "run" && parts_->run.command.empty()) {
    usage_error("COMMAND is missing");
  }
  return parts_->subcommands.at(parts_->chosen).act();
}

}  // namespace duende::mlock::command
