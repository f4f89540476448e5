// SPDX-License-Identifier: MIT OR Apache-2.0
#include "process.hpp"

#include <algorithm>

#include "file.hpp"
#include "library.hpp"

namespace duende::mlock::command {

namespace {

/// `KEY: VALUE` in two, without the blanks around the value.
std::pair<std::string_view, std::string_view> field(std::string_view line) {
  const auto colon = line.find(':');
  return colon == line.npos ? std::pair(line, std::string_view())
                            : std::pair(line.substr(0, colon), trim(line.substr(colon + 1)));
}

std::optional<std::uint64_t> kib(std::string_view value) {
  const auto count = number(value.substr(0, value.find(' ')));
  return count ? std::optional<std::uint64_t>(*count * 1024) : std::nullopt;
}

/// The kernel writes a newline and a backslash in a name as two characters.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      out += text[++i] == 'n' ? '\n' : '\\';
    } else {
      out += text[i];
    }
  }
  return out;
}

bool has_flag(std::string_view flags, std::string_view wanted) {
  for (; flags.size() >= 2; flags.remove_prefix(std::min<std::size_t>(3, flags.size()))) {
    if (flags.substr(0, 2) == wanted) {
      return true;
    }
  }
  return false;
}

/// What mlockall(2) passes over: I/O, raw pages, kernel pages, huge pages, droppable ones.
bool cannot_be_locked(std::string_view flags) {
  return has_flag(flags, "io") || has_flag(flags, "pf") || has_flag(flags, "de") ||
         has_flag(flags, "mm") || has_flag(flags, "ht") || has_flag(flags, "dp");
}

struct Mapping {
  bool special = false;
  bool of_file = false;  // one that is not in memory only
  bool writes_memory = false;
  std::uint64_t resident = 0;
  std::uint64_t anonymous = 0;
};

/// BEGIN-END RIGHTS OFFSET DEVICE INODE PATH
Mapping parse_head(std::string_view line, const NeverSwapped& never_swapped) {
  Mapping mapping;
  const auto words = words_of(line);
  const auto slash = line.find('/');
  if (words.size() >= 6 && words[1].size() == 4 && words[4] != "0" && slash != line.npos) {
    const bool block = !words[3].starts_with("00:");
    mapping.of_file = block || never_swapped(line.substr(slash));
    mapping.writes_memory = words[1][1] == 'w' && words[1][3] == 'p';
  }
  mapping.special = line.ends_with("[vsyscall]");
  return mapping;
}

void count_mapping(Mappings& mappings, const Mapping& mapping, std::string_view flags) {
  if (has_flag(flags, "lo")) {
    ++mappings.locked;
    // Kernels before smaps knew the name show on-fault as a flag without one.
    mappings.on_fault += has_flag(flags, "lf") || has_flag(flags, "??") ? 1 : 0;
  } else if (mapping.special || cannot_be_locked(flags)) {
    return;
  } else if (mapping.of_file && !mapping.writes_memory && mapping.anonymous == 0) {
    ++mappings.evictable;
    mappings.evictable_size += mapping.resident;
  } else {
    ++mappings.open;
    mappings.open_size += mapping.resident;
  }
}

std::string_view without_deleted(std::string_view line) {
  constexpr std::string_view kDeleted = " (deleted)";
  return line.substr(0, line.size() - (line.ends_with(kDeleted) ? kDeleted.size() : 0));
}

bool is_library_line(std::string_view whole) {
  const std::string_view line = without_deleted(whole);
  return line.ends_with(kLibraryName) && line.size() > kLibraryName.size() &&
         line[line.size() - kLibraryName.size() - 1] == '/';
}

/// PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE are what PR_SET_IO_FLUSHER sets.
constexpr std::uint64_t kIoFlusher = 0x180000;

}  // namespace

std::string in_proc(pid_t pid, std::string_view name) { return format("/proc/{}/{}", pid, name); }

ProcessStatus parse_status(std::string_view text) {
  ProcessStatus status;
  for (const std::string_view line : split(text, '\n')) {
    const auto [key, value] = field(line);
    const auto count = [text = value](int base) { return number(text, base).value_or(0); };
    if (key == "Name") {
      // A name may begin or end with blanks: behind the tab it is whole.
      status.name = unescape(line.substr(std::min<std::size_t>(6, line.size())));
    } else if (key == "State") {
      status.state = value.empty() ? '?' : value[0];
    } else if (key == "PPid") {
      status.parent = static_cast<pid_t>(count(10));
    } else if (key == "TracerPid") {
      status.tracer = static_cast<pid_t>(count(10));
    } else if (key == "VmSize") {
      status.size = kib(value);
    } else if (key == "VmLck") {
      status.charged = kib(value);
    } else if (key == "VmRSS") {
      status.resident = kib(value);
    } else if (key == "VmSwap") {
      status.swapped = kib(value);
    } else if (key == "CapEff") {
      status.effective = count(16);
    } else if (key == "CapBnd") {
      status.bounding = count(16);
    } else if (key == "Seccomp") {
      status.seccomp = static_cast<int>(count(10));
    }
  }
  return status;
}

std::optional<ProcessStatus> read_status(pid_t pid) {
  const auto text = read_file(in_proc(pid, "status"));
  return text ? std::optional(parse_status(*text)) : std::nullopt;
}

Mappings parse_smaps(std::string_view text, const NeverSwapped& never_swapped) {
  Mappings mappings;
  Mapping mapping;
  Lines lines(text);
  while (const auto line = lines.next()) {
    if (const auto resident = after(*line, "Rss:")) {
      mapping.resident = kib(trim(*resident)).value_or(0);
    } else if (const auto anonymous = after(*line, "Anonymous:")) {
      mapping.anonymous = kib(trim(*anonymous)).value_or(0);
    } else if (const auto flags = after(*line, "VmFlags:")) {
      count_mapping(mappings, mapping, trim(*flags));
    } else if (!line->empty() && (line->front() < 'A' || line->front() > 'Z')) {
      mapping = parse_head(*line, never_swapped);
      mappings.library |= is_library_line(*line);
    }
  }
  return mappings;
}

std::optional<LibraryMapping> library_mapping(std::string_view maps) {
  Lines lines(maps);
  while (const auto line = lines.next()) {
    const auto slash = line->find('/');
    if (slash != line->npos && is_library_line(*line)) {
      return LibraryMapping{number(line->substr(0, line->find('-')), 16).value_or(0),
                            std::string(without_deleted(line->substr(slash)))};
    }
  }
  return std::nullopt;
}

std::optional<Limits> read_limits(pid_t pid) {
  const std::string text = read_or_empty(in_proc(pid, "limits"));
  for (const std::string_view line : split(text, '\n')) {
    if (const auto values = after(line, "Max locked memory")) {
      const auto words = words_of(*values);
      if (words.size() >= 2) {
        const auto limit = [](std::string_view word) -> std::optional<std::uint64_t> {
          return word == "unlimited" ? std::nullopt : number(word);
        };
        return Limits{limit(words[0]), limit(words[1])};
      }
    }
  }
  return std::nullopt;
}

Threads read_threads(pid_t pid) {
  Threads threads;
  for (const pid_t thread : numbers_in(in_proc(pid, "task"))) {
    const std::string text = read_or_empty(format("/proc/{}/task/{}/stat", pid, thread));
    // Its name, in brackets, can hold spaces, newlines and brackets.
    const auto fields = words_of(std::string_view(text).substr(text.rfind(')') + 1));
    if (text.empty() || fields.size() < 38) {
      continue;
    }
    const auto flags = number(fields[6]).value_or(0);
    const auto priority = static_cast<unsigned>(number(fields[37]).value_or(0));
    threads.flushers += (flags & kIoFlusher) == kIoFlusher ? 1 : 0;
    threads.realtime = threads.count == 0 ? priority : std::min(threads.realtime, priority);
    ++threads.count;
  }
  return threads;
}

std::optional<Words> read_environment(pid_t pid) {
  const auto text = read_file(in_proc(pid, "environ"));
  if (!text) {
    return std::nullopt;
  }
  Words variables;
  for (const std::string_view entry : split(*text, '\0')) {
    variables.emplace_back(entry);
  }
  return variables;
}

std::optional<std::string_view> find_variable(const Words& variables, std::string_view name) {
  for (const std::string& variable : variables) {
    if (variable.size() > name.size() && variable[name.size()] == '=' &&
        variable.starts_with(name)) {
      return std::string_view(variable).substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

Processes all_processes() {
  Processes processes;
  for (const pid_t pid : numbers_in("/proc")) {
    if (auto status = read_status(pid)) {
      processes.emplace(pid, std::move(*status));
    }
  }
  return processes;
}

Offspring offspring_of(const Processes& processes) {
  Offspring offspring;
  for (const auto& [pid, status] : processes) {
    offspring.emplace(status.parent, pid);
  }
  return offspring;
}

std::vector<pid_t> descendants_of(pid_t pid, const Offspring& offspring) {
  std::vector<pid_t> found = {pid};
  // PIDs that are used anew while they are read could make a circle.
  for (std::size_t i = 0; i < found.size() && found.size() <= offspring.size(); ++i) {
    const auto [begin, end] = offspring.equal_range(found[i]);
    for (auto child = begin; child != end; ++child) {
      found.push_back(child->second);
    }
  }
  found.erase(found.begin());
  return found;
}

}  // namespace duende::mlock::command
