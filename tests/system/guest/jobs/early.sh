# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# Swapped out before the lock: see early.c.  Swap is a plain disk.
mkswap /dev/vdb >/dev/null
swapon /dev/vdb || fail "swapon"
report "beat t=0"
start /exp/early
fail "early ended with status $?"
