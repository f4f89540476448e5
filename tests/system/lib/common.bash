# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# What every part of the host side uses: messages, and how to end.

log()  { echo "${0##*/}: $*" >&2; }
die()  { log "$*"; exit 1; }
# A call that `usage` does not know.
misuse() { usage >&2; exit 2; }
# A precondition cannot be had: neither success nor failure, by the convention of
# meson and automake.
skip() { log "skipped: $*"; exit 77; }

# rows TABLE: its lines without comments and empty ones.
rows() { grep -vE '^(#|$)' "$1"; }
# row TABLE NAME: the line that starts with NAME, or failure.
row()  { rows "$1" | awk -v name="$2" '$1 == name { print; found = 1 } END { exit !found }'; }
