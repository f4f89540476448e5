// SPDX-License-Identifier: MIT OR Apache-2.0
#include "completion.hpp"

namespace duende::mlock::command {

namespace {

Words names_of(const CompletedSubcommand& subcommand) {
  Words names;
  for (const CompletedOption& option : subcommand.options) {
    names.push_back(option.name);
  }
  return names;
}

// ---- bash

constexpr std::string_view kBashHead = R"SH(# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# Completion of duende-mlock for bash, as printed by: duende-mlock completion bash

_duende_mlock_processes() {
    compgen -W "$(cd /proc && echo [0-9]* && cat [0-9]*/comm 2>/dev/null)" -- "$1"
}

_duende_mlock_units() {
    compgen -W "$(systemctl list-unit-files --type=service --no-legend 2>/dev/null |
        sed 's/ .*//')" -- "$1"
}

)SH";

constexpr std::string_view kBashTail = R"SH(
# Where the operands begin: the index of the first word that is neither an option nor its value.
_duende_mlock_operand() {
    local index
    for ((index = 2; index < COMP_CWORD; index++)); do
        if _duende_mlock_value "${COMP_WORDS[index]}" "" >/dev/null; then
            ((index++))
        elif [[ ${COMP_WORDS[index]} == -- ]]; then
            ((index++)) && break
        elif [[ ${COMP_WORDS[index]} != -* ]]; then
            break
        fi
    done
    echo "$index"
}

_duende_mlock() {
    local word=${COMP_WORDS[COMP_CWORD]} subcommand=${COMP_WORDS[1]} operand
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$_duende_mlock_subcommands --help" -- "$word")
        return
    fi
    operand=$(_duende_mlock_operand)
    if [[ $subcommand == run ]] && ((operand < COMP_CWORD)); then
        # From here on it is the command's own line.
        if declare -F _command_offset >/dev/null; then
            _command_offset "$operand"
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
    elif _duende_mlock_value "${COMP_WORDS[COMP_CWORD - 1]}" "$word" >/dev/null; then
        mapfile -t COMPREPLY < <(_duende_mlock_value "${COMP_WORDS[COMP_CWORD - 1]}" "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_duende_mlock_options "$subcommand")" -- "$word")
    else
        mapfile -t COMPREPLY < <(_duende_mlock_operands "$subcommand" "$word")
    fi
}

complete -o filenames -F _duende_mlock duende-mlock
)SH";

std::string bash_words(Kind kind) {
  switch (kind) {
    case Kind::nothing: return ":";
    case Kind::file: return "compgen -f -- \"$2\"";
    case Kind::folder: return "compgen -d -- \"$2\"";
    case Kind::command: return "compgen -c -- \"$2\"";
    case Kind::process: return "_duende_mlock_processes \"$2\"";
    case Kind::unit: return "_duende_mlock_units \"$2\"";
    case Kind::check: break;
  }
  return "compgen -c -- \"$2\"; _duende_mlock_processes \"$2\"; _duende_mlock_units \"$2\"";
}

std::string bash(const std::vector<CompletedSubcommand>& subcommands) {
  Words names;
  std::string options;
  std::string operands;
  std::string values;
  for (const CompletedSubcommand& subcommand : subcommands) {
    names.push_back(subcommand.name);
    options +=
        format("        {}) echo '{}' ;;\n", subcommand.name, join(names_of(subcommand), " "));
    operands += format("        {}) {} ;;\n", subcommand.name, bash_words(subcommand.operands));
    for (const CompletedOption& option : subcommand.options) {
      const std::string label = format("        {}) ", option.name);
      if (option.takes_value && values.find(label) == values.npos) {
        values += label +
                  (option.values.empty()
                       ? bash_words(option.kind)
                       : format("compgen -W '{}' -- \"$2\"", join(option.values, " "))) +
                  "; true ;;\n";
      }
    }
  }
  return std::string(kBashHead) +
         format(
             "_duende_mlock_subcommands='{}'\n\n"
             "_duende_mlock_options() {{\n    case $1 in\n{}    esac\n}}\n\n"
             "# _duende_mlock_value OPTION WORD: values that begin with WORD; fails if it takes "
             "none\n"
             "_duende_mlock_value() {{\n    case $1 in\n{}        *) false ;;\n    esac\n}}\n\n"
             "# _duende_mlock_operands SUBCOMMAND WORD\n"
             "_duende_mlock_operands() {{\n    case $1 in\n{}    esac\n}}\n",
             join(names, " "), options, values, operands) +
         std::string(kBashTail);
}

// ---- zsh

/// Without what ends a text in the description of an option.
std::string zsh_text(std::string_view text) { return escape(text.substr(0, 60), "[]:'"); }

std::string zsh_values(const CompletedOption& option) {
  if (!option.values.empty()) {
    return format("({})", join(option.values, " "));
  }
  return option.kind == Kind::file ? "_files" : option.kind == Kind::folder ? "_files -/" : " ";
}

std::string zsh_operands(Kind kind) {
  switch (kind) {
    case Kind::folder: return "'*:folder:_files -/'";
    case Kind::command: return "'*:::command:_normal'";
    case Kind::process: return "'*:process:_pids'";
    case Kind::unit: return "'*:unit:_systemd_units'";
    case Kind::check: return "'*:command:_command_names -e'";
    default: return "'*:'";
  }
}

std::string zsh(const std::vector<CompletedSubcommand>& subcommands) {
  std::string names;
  std::string cases;
  for (const CompletedSubcommand& subcommand : subcommands) {
    names += format("        '{}:{}'\n", subcommand.name, zsh_text(subcommand.meaning));
    cases += format("    {})\n        _arguments", subcommand.name);
    for (const CompletedOption& option : subcommand.options) {
      cases += format(" \\\n            '{}[{}]{}'", option.name, zsh_text(option.meaning),
                      option.takes_value ? ":value:" + zsh_values(option) : "");
    }
    cases += format(" \\\n            {}\n        ;;\n", zsh_operands(subcommand.operands));
  }
  return format(
      "#compdef duende-mlock\n"
      "# As printed by: duende-mlock completion zsh\n"
      "_systemd_units() {{\n"
      "    compadd -- ${{(f)\"$(systemctl list-unit-files --type=service --no-legend "
      "2>/dev/null | sed 's/ .*//')\"}}\n"
      "}}\n"
      "if ((CURRENT == 2)); then\n"
      "    local -a subcommands=(\n{}    )\n"
      "    _describe subcommand subcommands\n"
      "    return\n"
      "fi\n"
      "local subcommand=$words[2]\n"
      "shift words\n"
      "((CURRENT--))\n"
      "case $subcommand in\n{}esac\n",
      names, cases);
}

// ---- fish

std::string fish(const std::vector<CompletedSubcommand>& subcommands) {
  std::string out =
      "# As printed by: duende-mlock completion fish\n"
      "complete -c duende-mlock -f\n";
  for (const CompletedSubcommand& subcommand : subcommands) {
    const std::string seen = "__fish_seen_subcommand_from " + subcommand.name;
    out += format("complete -c duende-mlock -n __fish_use_subcommand -a {} -d '{}'\n",
                  subcommand.name, escape(subcommand.meaning, "'\\"));
    for (const CompletedOption& option : subcommand.options) {
      const bool file = option.kind != Kind::nothing;
      out += format("complete -c duende-mlock -n '{}' -l {} -d '{}'{}{}\n", seen,
                    option.name.substr(2), escape(option.meaning, "'\\"),
                    !option.takes_value ? ""
                    : file              ? " -r -F"
                                        : " -x",
                    option.values.empty() ? "" : format(" -a '{}'", join(option.values, " ")));
    }
    const char* const operands = subcommand.operands == Kind::command ? "(__fish_complete_command)"
                                 : subcommand.operands == Kind::process ? "(__fish_complete_pids)"
                                                                        : "";
    if (*operands != '\0') {
      out += format("complete -c duende-mlock -n '{}' -a '{}'\n", seen, operands);
    }
  }
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell,
                              const std::vector<CompletedSubcommand>& subcommands) {
  return shell == "bash"  ? bash(subcommands)
         : shell == "zsh" ? zsh(subcommands)
                          : fish(subcommands);
}

}  // namespace duende::mlock::command
