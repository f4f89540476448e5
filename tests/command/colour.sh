#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "status" and "check" have colour on a terminal, nowhere else, and not where it is not wanted.
. "$(dirname "$0")/common.sh"
need script
need_library
green=$(printf '\033[32m') red=$(printf '\033[31m') escape=$(printf '\033')

# on_terminal VARIABLE=VALUE... -- ARGUMENT...: the command, with stdout a terminal
on_terminal() {
    words=
    for word; do
        [ "$word" != -- ] || word=$command
        words="$words '$word'"
    done
    output=$(script --quiet --return --command "env $words" /dev/null </dev/null)
    status=$?
}

for words in "status $$" "check $$"; do
    # shellcheck disable=SC2086  # several words
    set -- $words
    on_terminal TERM=xterm NO_COLOR= -- "$@"
    expect "$1: red" contains "$output" "$red"
    coloured=$output
    on_terminal TERM=xterm NO_COLOR=1 -- "$@"
    expect "$1: NO_COLOR" lacks "$output" "$escape"
    on_terminal TERM=dumb -- "$@"
    expect "$1: a dumb terminal" lacks "$output" "$escape"
    on_terminal -u TERM -- "$@"
    expect "$1: no terminal known" lacks "$output" "$escape"
    environment=TERM=xterm
    mlock "$@"
    expect "$1: a pipe" lacks "$output" "$escape"
    expect "$1: the same words" [ "$(printf '%s\n' "$coloured" | tr -d '\r' |
        sed "s/$escape\[[0-9]*m//g" | head -n 1)" = "$(printf '%s\n' "$output" | head -n 1)" ]
done
on_terminal TERM=xterm -- check $$
expect "green" contains "$output" "${green}ok"
on_terminal TERM=xterm -- status --json $$
expect "never in JSON" lacks "$output" "$escape"
finish
