#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The command and its tests are clean for shellcheck, and parse in the shells they are for.
. "$(dirname "$0")/common.sh"
need shellcheck
cd "$here" || exit # where shellcheck finds what the tests source

expect "shellcheck finds nothing in the command" shellcheck --shell=sh "$command"
expect "shellcheck finds nothing in the completion" \
    shellcheck "$here/../../scripts/duende-mlock.bash-completion"
for test in "$here"/*.sh; do
    expect "shellcheck finds nothing in ${test##*/}" \
        shellcheck --shell=sh --external-sources --exclude=SC1091,SC2317 "$test"
done
expect "dash parses the command" dash -n "$command"
expect "busybox parses the command" busybox sh -n "$command"
finish
