#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The command is one static file, not too large; its tests are clean for shellcheck.
. "$(dirname "$0")/common.sh"
need shellcheck readelf strip

output=$(readelf -ldW "$command")
expect "no loader" lacks "$output" INTERP
expect "no library" lacks "$output" NEEDED
strip -o "$scratch/stripped" "$command"
# More where compilers harden all that they build: Ubuntu's.
most=2097152
! cc -O2 -dM -E -x c /dev/null 2>/dev/null | grep -q _FORTIFY_SOURCE || most=2359296
expect "$most bytes at most" [ "$(wc -c <"$scratch/stripped")" -le $most ]

cd "$here" || exit # where shellcheck finds what the tests source

for test in "$here"/*.sh; do
    expect "shellcheck finds nothing in ${test##*/}" \
        shellcheck --shell=sh --external-sources --exclude=SC1091,SC2317,SC2329 "$test"
done
finish
