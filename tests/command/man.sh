#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The man pages are clean, and name all there is: each option of the command, each variable of the
# library with its default.
. "$(dirname "$0")/common.sh"
scripts=$here/../../scripts
preload=$here/../../preload

pages="$scripts/man/duende-mlock.1 $scripts/man/libduende_mlock_preload.7 $scripts/man/duende_mlock.3"
looked=''
for page in $pages; do
    if command -v mandoc >/dev/null; then
        looked=mandoc output=$(mandoc -Tlint -Wwarning "$page" 2>&1)
        expect "mandoc finds nothing in ${page##*/}" [ -z "$output" ]
    fi
    if command -v groff >/dev/null && command -v man >/dev/null; then
        looked=man output=$(MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
        expect "man finds nothing in ${page##*/}" [ -z "$output" ]
    fi
done
[ -n "$looked" ] || skip "there is neither mandoc nor man with groff here"

text=$(cat "$scripts/man/duende-mlock.1")
for subcommand in run attach unlock status check explain systemd docker compose podman kubernetes install \
    completion; do
    expect "the page has $subcommand" has_line "$text" ".Ss $subcommand"
    mlock "$subcommand" --help
    for option in $(printf '%s\n' "$output" | sed -n 's/^  --\([^ ]*\).*/\1/p' |
        sed 's/^\[no-\]\(.*\)/\1 no-\1/'); do
        [ "$option" = help ] || expect "the page has --$option" contains "$text" "Fl -$option"
    done
done

# "NAME default" of each variable, in the table of the library and in the page
[ -r "$preload/variables.inc" ] || skip "there is no $preload/variables.inc"
sed 's/BOOLEAN/"BOOLEAN"/' "$preload/variables.inc" | tr '\n' ' ' | sed 's/VARIABLE(/\
&/g' | sed -n 's/^VARIABLE(\([A-Z_]*\), *"[^"]*", *"\([^"]*\)".*/\1 \2/p' >"$scratch/table"
echo >>"$scratch/table" # the last line had none
awk '/^\.It Ev DUENDE_MLOCK_/ { name = substr($3, 14) }
    /^Default:/ && name { print name, substr($0, 10) }' "$scripts/man/libduende_mlock_preload.7" |
    sed 's/\.$//' >"$scratch/page"
output=$(diff "$scratch/table" "$scratch/page")
expect "the page has the library's variables, in its order, with its defaults" [ -z "$output" ]
finish
