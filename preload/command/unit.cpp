// SPDX-License-Identifier: MIT OR Apache-2.0
#include "unit.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "file.hpp"
#include "library.hpp"
#include "process.hpp"

namespace duende::mlock::command {

namespace {

// The first of these that has a unit file counts. Units that systemd makes of an init script or of
// fstab are in a generator's folder.
constexpr const char* kFolders[] = {
    "/run/systemd/generator.early", "/etc/systemd/system",           "/run/systemd/system",
    "/run/systemd/generator",       "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
    "/lib/systemd/system",          "/run/systemd/generator.late",
};
// A drop-in takes the place of one of the same name in an earlier folder.
constexpr const char* kDropInFolders[] = {
    "/lib/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system",
    "/run/systemd/system", "/etc/systemd/system",
};

std::uint64_t total_memory() {
  const std::string text = read_or_empty("/proc/meminfo");
  for (const std::string_view line : split(text, '\n')) {
    if (const auto value = after(line, "MemTotal:")) {
      return number(words_of(*value).at(0)).value_or(0) * 1024;
    }
  }
  return 0;
}

/// The lines of an environment file: NAME=VALUE, comments, quotes.
Words file_variables(const std::string& path) {
  Words variables;
  const std::string text = read_or_empty(path);
  for (const std::string_view raw : split(text, '\n')) {
    const std::string_view line = trim(raw);
    const auto equals = line.find('=');
    if (line.empty() || line[0] == '#' || line[0] == ';' || equals == line.npos) {
      continue;
    }
    variables.push_back(std::string(line.substr(0, equals + 1)) +
                        join(unit_words(line.substr(equals + 1)), " "));
  }
  return variables;
}

void set_variable(Unit::Environment& environment, std::string_view word) {
  const auto equals = word.find('=');
  if (equals != word.npos) {
    environment[std::string(word.substr(0, equals))] = word.substr(equals + 1);
  }
}

}  // namespace

std::vector<Assignment> parse_unit(std::string_view text) {
  std::vector<Assignment> assignments;
  bool service = false;
  std::string joined;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\\')) {
      joined.append(line.substr(0, line.size() - 1)).append(" ");
      continue;
    }
    const std::string whole = joined.append(line);
    joined.clear();
    const std::string_view trimmed = trim(whole);
    if (trimmed.starts_with('[')) {
      service = trimmed.starts_with("[Service]");
    }
    const auto equals = trimmed.find('=');
    if (service && equals != trimmed.npos && trimmed[0] != '#' && trimmed[0] != ';') {
      assignments.push_back({std::string(trim(trimmed.substr(0, equals))),
                             std::string(trim(trimmed.substr(equals + 1)))});
    }
  }
  return assignments;
}

Words unit_words(std::string_view value) {
  Words words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char byte = value[i];
    const bool blank = byte == ' ' || byte == '\t';
    if (byte == '\\' && i + 1 < value.size() && quote != '\'') {
      word += value[++i];
      in_word = true;
    } else if (quote != '\0' ? byte == quote : byte == '"' || byte == '\'') {
      quote = quote == '\0' ? byte : '\0';
      in_word = true;
    } else if (blank && quote == '\0') {
      if (in_word) {
        words.push_back(std::move(word));
      }
      word.clear();
      in_word = false;
    } else {
      word += byte;
      in_word = true;
    }
  }
  if (in_word) {
    words.push_back(std::move(word));
  }
  return words;
}

std::optional<UnitSize> parse_unit_size(std::string_view text) {
  if (text == "infinity") {
    return UnitSize{.infinite = true, .bytes = 0};
  }
  constexpr std::string_view kUnits = "KMGT";
  unsigned shift = 0;
  const bool percent = text.ends_with('%');
  const auto unit = text.empty() ? kUnits.npos : kUnits.find(text.back());
  if (percent || unit != kUnits.npos) {
    shift = percent ? 0 : 10 * (static_cast<unsigned>(unit) + 1);
    text.remove_suffix(1);
  }
  const auto count = number(text);
  if (!count) {
    return std::nullopt;
  }
  return UnitSize{.infinite = false,
                  .bytes = percent ? total_memory() / 100 * *count : *count << shift};
}

Unit::Unit(std::string name, std::string root, bool with_ours)
    : name_(std::move(name)), template_name_(name_), root_(std::move(root)) {
  if (const auto at = name_.find('@'); at != name_.npos) {
    const auto suffix = name_.rfind('.');
    template_name_ = name_.substr(0, at + 1) + name_.substr(suffix);
    instance_ = name_.substr(at + 1, suffix - at - 1);
  }
  if (systemd_runs(root_) && ask_systemd(with_ours)) {
    return;
  }
  for (const char* const folder : kFolders) {
    for (const std::string& candidate : {name_, template_name_}) {
      const std::string file = format("{}{}/{}", root_, folder, candidate);
      if (!exists_ && !read_or_empty(file).empty()) {
        read(file);
        exists_ = true;
      }
    }
  }
  read_drop_ins(with_ours);
}

/// `systemctl cat` prints the files that count in their order, each behind its path as a comment.
bool Unit::ask_systemd(bool with_ours) {
  const auto files = output_of({"systemctl", "cat", "--no-pager", "--", name_});
  if (!files || files->empty()) {
    return false;
  }
  std::string text;
  bool ours = false;
  for (const std::string_view line : split(*files, '\n')) {
    if (line.starts_with("# /")) {
      ours = !with_ours && base_name(line) == kDropInName;
    }
    if (!ours) {
      text.append(line).append("\n");
    }
  }
  add(text);
  exists_ = told_ = true;
  return true;
}

void Unit::read(const std::string& file) { add(read_or_empty(file)); }

void Unit::add(std::string_view text) {
  for (Assignment& assignment : parse_unit(text)) {
    assignments_.push_back(std::move(assignment));
  }
}

void Unit::read_drop_ins(bool with_ours) {
  // In the order of their names, wherever they are; what is for one unit takes the place of what is
  // for all.
  std::map<std::string, std::string> drop_ins;
  for (const std::string& whose : {std::string(kAllServices), template_name_, name_}) {
    for (const char* const place : kDropInFolders) {
      const std::string folder = format("{}{}/{}.d", root_, place, whose);
      for (const std::string& file : names_in(folder)) {
        if (file.ends_with(".conf") && (with_ours || file != kDropInName)) {
          drop_ins[file] = format("{}/{}", folder, file);
        }
      }
    }
  }
  for (const auto& [name, file] : drop_ins) {
    read(file);
  }
}

std::string Unit::expand(std::string_view text) const {
  const std::string prefix = template_name_.substr(0, template_name_.find_first_of("@."));
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case '%': out += '%'; break;
      case 'i':
      case 'I': out += instance_; break;
      case 'n': out += name_; break;
      case 'N': out += name_.substr(0, name_.rfind('.')); break;
      case 'p':
      case 'P': out += prefix; break;
      case 't': out += "/run"; break;
      case 'S': out += "/var/lib"; break;
      case 'C': out += "/var/cache"; break;
      case 'L': out += "/var/log"; break;
      case 'E': out += "/etc"; break;
      default: out += {'%', text[i]}; break;
    }
  }
  return out;
}

Words Unit::values(std::string_view key) const {
  Words values;
  for (const Assignment& assignment : assignments_) {
    if (assignment.key == key) {
      values.push_back(assignment.value);
    }
  }
  return values;
}

std::optional<std::string> Unit::value(std::string_view key) const {
  const Words all = values(key);
  return all.empty() ? std::nullopt : std::optional(all.back());
}

bool Unit::is_on(std::string_view key) const {
  const std::string value = value_or_empty(key);
  return value == "yes" || value == "true" || value == "1" || value == "on";
}

bool Unit::set_has(std::string_view key, const Words& names, Empty empty) const {
  bool has = true;
  bool begun = false;
  for (const std::string& value : values(key)) {
    if (value.empty()) {
      has = empty == Empty::begins_anew;
      begun = !has;
      continue;
    }
    const bool removes = value[0] == '~';
    has = begun ? has : removes;
    begun = true;
    for (const std::string_view word : words_of(std::string_view(value).substr(removes ? 1 : 0))) {
      const std::string_view name = word.substr(0, word.find(':'));  // SystemCallFilter=read:EPERM
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        has = !removes;
      }
    }
  }
  return has;
}

Words Unit::command() const {
  const std::string command = value_or_empty("ExecStart");
  const auto begin = std::min(command.find_first_not_of("-@:+!|"), command.size());
  Words words = unit_words(command.substr(begin));
  for (std::string& word : words) {
    word = expand(word);
  }
  return words;
}

std::string Unit::user() const {
  const std::string user = expand(value_or_empty("User"));
  if (is_on("DynamicUser")) {
    return user.empty() ? "a user of its own" : user;
  }
  return user == "root" || user == "0" ? "" : user;
}

std::string Unit::root_directory() const {
  std::string folder = expand(value_or_empty("RootDirectory"));
  while (folder.ends_with('/')) {
    folder.pop_back();
  }
  return folder;
}

Words Unit::list(std::string_view key) const {
  Words all;
  for (const std::string& value : values(key)) {
    const Words words = unit_words(value);
    all = value.empty() ? Words() : all;
    all.insert(all.end(), words.begin(), words.end());
  }
  return all;
}

Words Unit::environment_files() const {
  Words files;
  for (const std::string& value : values("EnvironmentFile")) {
    if (value.empty()) {
      files.clear();
    } else {
      files.push_back(expand(value[0] == '-' ? value.substr(1) : value));
    }
  }
  return files;
}

Unit::Environment Unit::environment() const {
  Environment environment;
  const std::string managers = told_ && !values("PassEnvironment").empty()
                                   ? output_of({"systemctl", "show-environment"}).value_or("")
                                   : "";
  for (const std::string& name : list("PassEnvironment")) {
    for (const std::string_view variable : split(managers, '\n')) {
      if (after(variable, name + '=')) {
        set_variable(environment, variable);
      }
    }
  }
  for (const std::string& value : values("Environment")) {
    if (value.empty()) {
      environment.clear();
    }
    for (const std::string& word : unit_words(value)) {
      set_variable(environment, expand(word));
    }
  }
  for (const std::string& file : environment_files()) {
    for (const std::string& variable : file_variables(root_ + file)) {
      set_variable(environment, variable);
    }
  }
  const Words unset = list("UnsetEnvironment");
  std::erase_if(environment, [&](const auto& entry) {
    return std::any_of(unset.begin(), unset.end(), [&](const std::string& word) {
      return word == entry.first || word == entry.first + '=' + entry.second;
    });
  });
  return environment;
}

std::string Unit::file_that_sets(std::string_view variable) const {
  std::string found;
  for (const std::string& file : environment_files()) {
    if (find_variable(file_variables(root_ + file), variable)) {
      found = file;
    }
  }
  return found;
}

std::string Unit::value_of(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

bool Unit::preloads_library() const {
  const Environment environment = this->environment();
  const std::string only = value_of(environment, "DUENDE_MLOCK_ONLY");
  const auto names = split(only, ':');
  const bool selected =
      only.empty() || std::find(names.begin(), names.end(), base_name(program())) != names.end();
  return selected && value_of(environment, "LD_PRELOAD").find(kLibraryName) != std::string::npos;
}

bool systemd_runs(const std::string& root) { return root.empty() && exists("/run/systemd/system"); }

Words all_units(const std::string& root) {
  std::set<std::string> units;
  for (const char* const folder : kFolders) {
    for (const std::string& name : names_in(root + folder)) {
      const std::string unit = name.ends_with(".d") ? name.substr(0, name.size() - 2) : name;
      if (unit.ends_with(".service")) {
        units.insert(unit);
      }
    }
  }
  return {units.begin(), units.end()};
}

int running_process(const std::string& unit) {
  const auto property = [&](const char* name) {
    const auto answer = output_of({"systemctl", "show", "-p", name, "--value", unit});
    return std::string(trim(answer.value_or("")));
  };
  if (const auto main = number(property("MainPID")); main && *main != 0) {
    return static_cast<int>(*main);
  }
  const std::string group = property("ControlGroup");
  for (const char* const top :
       {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}) {
    const std::string processes = group.empty() ? "" : read_or_empty(top + group + "/cgroup.procs");
    if (const auto first = number(processes.substr(0, processes.find('\n')))) {
      return static_cast<int>(*first);
    }
  }
  return 0;
}

}  // namespace duende::mlock::command
