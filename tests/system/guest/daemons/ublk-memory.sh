# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# A ublk server; the store is the daemon's own memory (ublk_memory.c).
comm=ublk_memory
serve() {
	start /exp/ublk_memory "$1" "$STORE_MIB" &
	device=ublkb$1
	attempt 50 test -b "/dev/$device" || fail "no ublk device"
}
