// SPDX-License-Identifier: MIT OR Apache-2.0
// status: whether processes are locked, as a table, JSON or metrics.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include <nlohmann/json.hpp>

#include "colour.hpp"
#include "file.hpp"
#include "subcommands.hpp"
#include "verdict.hpp"

namespace duende::mlock::command {

namespace {

/// A process that was asked for, and what descends from it.
struct Row {
  Look look;
  std::vector<Look> children;
  bool has_children = true;  // they were asked for

  [[nodiscard]] std::size_t locked_children() const {
    return static_cast<std::size_t>(std::count_if(children.begin(), children.end(),
                                                  [](const Look& c) { return c.is_locked(); }));
  }
  [[nodiscard]] bool all_locked() const {
    return look.is_locked() && locked_children() == children.size();
  }
};

struct Survey {
  std::vector<Row> rows;
  bool complete = true;  // all that was asked for was found
};

/// Those of a PID or, as the kernel has it, of a name of at most 15 bytes.
std::vector<pid_t> find(const std::string& target, const Processes& processes) {
  if (const auto pid = number(target)) {
    return {static_cast<pid_t>(std::min<unsigned long long>(*pid, 0x7fffffff))};
  }
  std::vector<pid_t> found;
  for (const auto& [pid, status] : processes) {
    if (status.name == target.substr(0, 15)) {
      found.push_back(pid);
    }
  }
  return found;
}

std::vector<pid_t> find_all(const Words& targets, const Processes& processes, bool& complete) {
  std::vector<pid_t> chosen;
  for (const std::string& target : targets) {
    const auto found = find(target, processes);
    if (found.empty()) {
      warn("no process has the name " + target);
      complete = false;
    }
    chosen.insert(chosen.end(), found.begin(), found.end());
  }
  if (targets.empty()) {
    for (const auto& [pid, status] : processes) {
      if (status.charged && concerns_library(pid)) {
        chosen.push_back(pid);
      }
    }
    if (chosen.empty()) {
      warn("no process has the library");
      complete = false;
    }
  }
  return chosen;
}

Survey look_around(const StatusOptions& options) {
  const Processes processes = all_processes();
  const Offspring offspring = offspring_of(processes);
  Survey survey;
  std::set<pid_t> seen;
  for (const pid_t pid : find_all(options.targets, processes, survey.complete)) {
    if (!seen.insert(pid).second) {
      continue;
    }
    // Without operands, what descends from them is there in its own right.
    Row row = {look_at(pid), {}, options.children && !options.targets.empty()};
    if (row.has_children) {
      for (const pid_t child : descendants_of(pid, offspring)) {
        if (Look look = look_at(child); look.runs()) {
          row.children.push_back(std::move(look));
        }
      }
    }
    survey.rows.push_back(std::move(row));
  }
  return survey;
}

// ---- a table

using Size = std::optional<std::uint64_t>;

std::string mib(Size size) {
  return size ? format("{:.1f}M", static_cast<double>(*size) / (1 << 20)) : "";
}

std::string share(std::size_t part, std::size_t all) {
  return all == 0 ? "" : format("{}/{}", part, all);
}

std::string yes_or_no(std::optional<bool> value) { return !value ? "" : *value ? "yes" : "no"; }

std::string locked_in_words(State state) {
  switch (state) {
    case State::locked: return "yes";
    case State::partly:
    case State::unknown: return std::string(name_of(state));
    default: return "no";
  }
}

constexpr const char* kTitles[] = {"PID",      "NAME",    "LOCKED",   "BY",    "CHARGED",
                                   "RESIDENT", "PINNED",  "SWAPPED",  "LIMIT", "FUTURE",
                                   "ONFAULT",  "FLUSHER", "CHILDREN", "NOTE"};

Words cells(const Row& row) {
  const Look& look = row.look;
  const ProcessStatus status = look.status.value_or(ProcessStatus());
  Words cells = {std::to_string(look.pid),
                 printable(status.name),
                 locked_in_words(look.state),
                 std::string(look.locked_by()),
                 mib(status.charged),
                 mib(status.resident),
                 mib(look.pinned),
                 mib(status.swapped),
                 !look.limits        ? ""
                 : look.limits->soft ? mib(look.limits->soft)
                                     : "unlimited",
                 yes_or_no(look.future()),
                 std::string(look.on_fault()),
                 share(look.threads.flushers, look.threads.count),
                 share(row.locked_children(), row.children.size()),
                 std::string(look.note())};
  for (std::string& cell : cells) {
    cell = cell.empty() ? "-" : cell;
  }
  return cells;
}

/// How many there are of each state, once there are more than one sees at a glance.
std::string summary(const std::vector<Row>& rows) {
  constexpr std::size_t kGlance = 10;
  if (rows.size() <= kGlance) {
    return "";
  }
  std::string text = format("{} processes", rows.size());
  const char* separator = ": ";
  for (int i = 0; i <= static_cast<int>(State::kernel); ++i) {
    const auto state = static_cast<State>(i);
    const auto count = std::count_if(rows.begin(), rows.end(),
                                     [&](const Row& row) { return row.look.state == state; });
    if (count != 0) {
      text += format("{}{} {}", separator, count, name_of(state));
      separator = ", ";
    }
  }
  return text + '\n';
}

/// Of a cell under LOCKED.
Colour colour_of(std::string_view locked) {
  return locked == "yes"                                                         ? Colour::good
         : locked == "no"                                                        ? Colour::bad
         : locked == name_of(State::partly) || locked == name_of(State::unknown) ? Colour::doubtful
                                                                                 : Colour::none;
}

std::string table(const std::vector<Row>& rows) {
  if (rows.empty()) {
    return "";
  }
  std::vector<Words> lines = {Words(std::begin(kTitles), std::end(kTitles))};
  std::transform(rows.begin(), rows.end(), std::back_inserter(lines), cells);
  std::string out;
  std::vector<std::size_t> widths(std::size(kTitles), 0);
  for (const Words& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  constexpr std::size_t kLocked = 2;
  for (const Words& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      const std::string cell = format("{:<{}}  ", line[i], widths[i]);
      out += i == kLocked ? in_colour(colour_of(line[i]), cell) : cell;
    }
    out += line.back() + '\n';
  }
  return out + summary(rows);
}

// ---- figures: JSON and metrics

struct Figure {
  const char* name;
  const char* meaning;  // of a metric; nullptr: none
  Size (*value)(const Row& row);
};

Size flag(std::optional<bool> value) { return value ? Size(*value ? 1 : 0) : std::nullopt; }
Size of_threads(const Row& row, unsigned value) {
  return row.look.threads.count == 0 ? std::nullopt : Size(value);
}
Size of_status(const Row& row, Size ProcessStatus::*member) {
  return row.look.status ? *row.look.status.*member : std::nullopt;
}
/// The limit of those without one.
constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

constexpr Figure kFigures[] = {
    {"locked", "Whether the memory of the process is locked.",
     [](const Row& row) { return flag(row.look.is_locked()); }},
    {"charged_bytes", "Address space charged against the limit (VmLck).",
     [](const Row& row) { return of_status(row, &ProcessStatus::charged); }},
    {"resident_bytes", "Resident memory (VmRSS).",
     [](const Row& row) { return of_status(row, &ProcessStatus::resident); }},
    {"locked_bytes", "Resident and locked memory, shared pages divided among their users.",
     [](const Row& row) { return row.look.pinned; }},
    {"evictable_bytes",
     "Resident memory of files that is not locked, and would come back from there.",
     [](const Row& row) {
       const Mappings& mappings = row.look.mappings;
       return mappings.known() ? Size(mappings.evictable_size) : std::nullopt;
     }},
    {"swapped_bytes", "Memory in swap (VmSwap).",
     [](const Row& row) { return of_status(row, &ProcessStatus::swapped); }},
    {"limit_bytes", "Soft RLIMIT_MEMLOCK.",
     [](const Row& row) {
       return row.look.limits ? Size(row.look.limits->soft.value_or(kUnlimited)) : std::nullopt;
     }},
    {"future", "Whether every mapping that could be swapped is locked.",
     [](const Row& row) { return flag(row.look.future()); }},
    {"threads", "Threads.", [](const Row& row) { return of_threads(row, row.look.threads.count); }},
    {"io_flusher_threads", "Threads that are IO flushers.",
     [](const Row& row) { return of_threads(row, row.look.threads.flushers); }},
    {"realtime_priority", "Lowest real-time priority among the threads.",
     [](const Row& row) { return of_threads(row, row.look.threads.realtime); }},
    {"ld_preload", "Whether LD_PRELOAD names the library.",
     [](const Row& row) { return flag(row.look.preloaded); }},
    {"library_loaded", "Whether the library is loaded.",
     [](const Row& row) { return flag(row.look.library_loaded()); }},
    {"library_outdated", "Whether another build of the library is installed than the one loaded.",
     [](const Row& row) { return flag(row.look.build.outdated()); }},
    {"children", "Descendants.",
     [](const Row& row) { return row.has_children ? Size(row.children.size()) : std::nullopt; }},
    {"locked_children", "Descendants whose memory is locked.",
     [](const Row& row) { return row.has_children ? Size(row.locked_children()) : std::nullopt; }},
};

using Json = nlohmann::ordered_json;

Json figure(const Row& row, std::string_view name) {
  for (const Figure& candidate : kFigures) {
    if (candidate.name == name) {
      const Size value = candidate.value(row);
      return !value ? Json() : *value == kUnlimited ? Json("unlimited") : Json(*value);
    }
  }
  return {};
}

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }
Json bool_or_null(std::optional<bool> value) { return value ? Json(*value) : Json(); }
/// What cannot be known is neither true nor false.
Json locked(const Look& look) {
  return look.state == State::unknown ? Json() : Json(look.is_locked());
}

Json json_of(const Row& row) {
  const Look& look = row.look;
  Json object;
  object["pid"] = look.pid;
  object["name"] = look.status ? Json(look.status->name) : Json();
  object["state"] = name_of(look.state);
  object["locked"] = locked(look);
  object["locked_by"] = text_or_null(look.locked_by());
  object["ld_preload"] = bool_or_null(look.preloaded);
  object["library_loaded"] = bool_or_null(look.library_loaded());
  object["library_build"] = text_or_null(look.build.mapped);
  object["library_outdated"] = bool_or_null(look.build.outdated());
  for (const char* const name : {"charged_bytes", "resident_bytes", "locked_bytes",
                                 "evictable_bytes", "swapped_bytes", "limit_bytes"}) {
    object[name] = figure(row, name);
  }
  object["future"] = bool_or_null(look.future());
  object["on_fault"] = text_or_null(look.on_fault());
  for (const char* const name : {"threads", "io_flusher_threads", "realtime_priority"}) {
    object[name] = figure(row, name);
  }
  object["children"] = Json::array();
  for (const Look& child : row.children) {
    object["children"].push_back({{"pid", child.pid}, {"locked", locked(child)}});
  }
  return object;
}

/// What is not UTF-8 becomes the replacement character.
std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json(const std::vector<Row>& rows) {
  std::string out = "[";
  for (const Row& row : rows) {
    out.append(out.size() == 1 ? "\n" : ",\n").append(dump(json_of(row)));
  }
  return out + "\n]\n";
}

/// Prometheus has backslash, quote and newline escaped as JSON does, and nothing else.
std::string label(std::string text) {
  for (char& byte : text) {
    byte = byte == '\n' ? byte : printable({&byte, 1})[0];
  }
  const std::string quoted = dump(text);
  return quoted.substr(1, quoted.size() - 2);
}

std::string metric_head(std::string_view name, std::string_view meaning) {
  return format("# HELP duende_mlock_{0} {1}\n# TYPE duende_mlock_{0} gauge\n", name, meaning);
}

/// The labels of all its metrics.
std::string labels(const Look& look) {
  return format("pid=\"{}\",name=\"{}\"", look.pid, label(look.status ? look.status->name : ""));
}

std::string metrics(const std::vector<Row>& rows) {
  std::string out = metric_head("state", "1: what LOCKED says, as a label.");
  for (const Row& row : rows) {
    out += format("duende_mlock_state{{{},state=\"{}\"}} 1\n", labels(row.look),
                  name_of(row.look.state));
  }
  for (const Figure& figure : kFigures) {
    out += metric_head(figure.name, figure.meaning);
    for (const Row& row : rows) {
      if (const Size value = figure.value(row)) {
        out += format("duende_mlock_{}{{{}}} {}\n", figure.name, labels(row.look),
                      *value == kUnlimited ? "+Inf" : std::to_string(*value));
      }
    }
  }
  return out;
}

std::string in_format(Format format, const std::vector<Row>& rows) {
  switch (format) {
    case Format::table: return table(rows);
    case Format::json: return json(rows);
    case Format::prometheus: return metrics(rows);
    case Format::quiet: break;
  }
  return "";
}

void put_out(const std::string& text, const std::string& file) {
  if (!file.empty() && !write_file(file, text, 0644)) {
    throw Failure(1, format("cannot write {}: is the folder there, and is there room?", file));
  }
  if (file.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
}

}  // namespace

int status(const StatusOptions& options) {
  for (;;) {
    const Survey survey = look_around(options);
    if (options.watch != 0 && options.output.empty() && ::isatty(STDOUT_FILENO) == 1) {
      std::fputs("\033[H\033[J", stdout);  // the upper left corner, and clear from there
    }
    put_out(in_format(options.format, survey.rows), options.output);
    if (options.watch == 0) {
      const bool all = std::all_of(survey.rows.begin(), survey.rows.end(),
                                   [](const Row& row) { return row.all_locked(); });
      return survey.complete && all ? 0 : 1;
    }
    ::poll(nullptr, 0, static_cast<int>(options.watch * 1000));
  }
}

}  // namespace duende::mlock::command
