// SPDX-License-Identifier: MIT OR Apache-2.0
// explain: what the manual says of a line in a log, and what to do.
#include <cstdio>
#include <cstdlib>

#include "explanations.hpp"
#include "subcommands.hpp"

namespace duende::mlock::command {

namespace {

/// Indented by four, in lines of 80 characters.
std::string paragraph(std::string_view text) {
  constexpr std::size_t kWidth = 80;
  std::string out;
  std::size_t at = kWidth;
  for (const std::string_view word : words_of(text)) {
    if (at + 1 + word.size() > kWidth) {
      out.append(out.empty() ? "   " : "\n   ");
      at = 3;
    }
    out.append(" ").append(word);
    at += 1 + word.size();
  }
  return out + '\n';
}

void print(const Explanation& known) {
  std::printf("%s\n%s    %s, DIAGNOSTICS\n", std::string(known.line).c_str(),
              paragraph(known.text).c_str(), std::string(known.page).c_str());
}

/// False if nothing is known of it.
bool explain_line(std::string_view line) {
  const Explanation* const known = explanation_of(line);
  if (known == nullptr) {
    warn(format("nothing is known of this line: {}", line));
    return false;
  }
  print(*known);
  return true;
}

/// Line by line, so that a log may be followed.
int explain_input() {
  bool all = true;
  bool any = false;
  char* line = nullptr;
  std::size_t room = 0;
  for (ssize_t size = 0; (size = ::getline(&line, &room, stdin)) >= 0; std::fflush(stdout)) {
    const std::string_view text = trim({line, static_cast<std::size_t>(size)});
    if (!text.empty()) {
      any = true;
      all &= explain_line(text);
    }
  }
  std::free(line);
  if (!any) {
    throw Failure(1, "there was no line to explain");
  }
  return all ? 0 : 1;
}

}  // namespace

int explain(const ExplainOptions& options) {
  if (options.all) {
    for (const Explanation& known : explanations()) {
      print(known);
    }
    return 0;
  }
  if (options.lines.empty() || options.lines == Words{"-"}) {
    return explain_input();
  }
  bool all = true;
  for (const std::string& line : options.lines) {
    all &= explain_line(line);
  }
  return all ? 0 : 1;
}

}  // namespace duende::mlock::command
