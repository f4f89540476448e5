#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The command is one static file, not too large; its tests are clean for shellcheck.
. "$(dirname "$0")/common.sh"
need shellcheck readelf strip

output=$(readelf -ldW "$command")
expect "no loader" lacks "$output" INTERP
expect "no library" lacks "$output" NEEDED
strip -o "$scratch/stripped" "$command"
expect "2 MiB at most" [ "$(wc -c <"$scratch/stripped")" -le 2097152 ]

cd "$here" || exit # where shellcheck finds what the tests source

for test in "$here"/*.sh; do
    expect "shellcheck finds nothing in ${test##*/}" \
        shellcheck --shell=sh --external-sources --exclude=SC1091,SC2317 "$test"
done
finish
