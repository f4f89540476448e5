#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Completion offers what the command takes: each subcommand, and each option that its help names.
. "$(dirname "$0")/common.sh"
need bash
completion=$scratch/completion
cd "$scratch" || exit # options that take a value take --help for one, a file's name perhaps
"$command" completion bash >"$completion"
! command -v shellcheck >/dev/null ||
    expect "shellcheck finds nothing in it" shellcheck "$completion"

# offer WORD...: what is offered for the last word
offer() {
    # shellcheck disable=SC2016 # for bash
    output=$(bash -c '. "$1"; shift
        COMP_WORDS=(duende-mlock "$@"); COMP_CWORD=$#
        _duende_mlock
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completion" "$@" 2>"$scratch/errors")
    errors=$(cat "$scratch/errors")
}

subcommands='run attach unlock status check explain systemd docker compose podman kubernetes install completion'
offer ''
for subcommand in $subcommands; do
    expect "the subcommand $subcommand" has_line "$output" "$subcommand"
done

for subcommand in $subcommands; do
    mlock "$subcommand" --help
    # --[no-]x stands for --x and --no-x; one begins a line.
    options=$(printf '%s\n' "$output" | sed -n 's/^  \(--[^ ]*\).*/\1/p' |
        sed 's/^--\[no-\]\(.*\)/--\1 --no-\1/')
    expect "$subcommand has options" [ -n "$options" ]
    offer "$subcommand" --
    for option in $options; do
        expect "$subcommand $option" has_line "$output" "$option"
    done
    for option in $output; do
        mlock "$subcommand" "$option" --help
        expect "$subcommand takes the offered $option" lacks "$errors" "unknown option"
    done
done

offer run --fork ''
expect "values" [ "$output" = "lazy
full
off" ]
offer status $$
expect "processes" has_line "$output" "$$"
offer run --log off bas
expect "commands" has_line "$output" bash
expect "no errors" [ -z "$errors" ]
for shell in zsh fish; do
    output=$("$command" completion "$shell")
    for option in --best-effort --no-children --swap-device --library-image; do
        [ "$shell" = zsh ] || option="-l ${option#--}"
        expect "$shell has $option" contains "$output" "$option"
    done
    ! command -v "$shell" >/dev/null || expect "$shell parses it" "$shell" -n - <<SCRIPT
$output
SCRIPT
done
finish
