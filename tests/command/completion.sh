#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Completion offers what the command takes: each subcommand, and each option that its help names.
. "$(dirname "$0")/common.sh"
need bash
completion=${DUENDE_MLOCK_COMPLETION:-$here/../../scripts/duende-mlock.bash-completion}
[ -r "$completion" ] || skip "there is no completion $completion"

# offer WORD...: what is offered for the last word
offer() {
    # shellcheck disable=SC2016 # for bash
    output=$(bash -c '. "$1"; shift
        COMP_WORDS=(duende-mlock "$@"); COMP_CWORD=$#
        _duende_mlock
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completion" "$@" 2>"$scratch/errors")
    errors=$(cat "$scratch/errors")
}

offer ''
for subcommand in run status check systemd docker kubernetes; do
    expect "the subcommand $subcommand" has_line "$output" "$subcommand"
done

for subcommand in run status check systemd docker kubernetes; do
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
finish
