#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The tests are clean for shellcheck.
. "$(dirname "$0")/common.sh"
need shellcheck
cd "$here" || exit # where shellcheck finds what the tests source

for test in "$here"/*.sh; do
    expect "shellcheck finds nothing in ${test##*/}" \
        shellcheck --shell=sh --external-sources --exclude=SC1091,SC2317 "$test"
done
finish
