# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# The same ublk server, linked statically: LD_PRELOAD does not reach it.
comm=ublk_static
serve() {
	start /exp/ublk_static "$1" "$STORE_MIB" &
	device=ublkb$1
	attempt 50 test -b "/dev/$device" || fail "no ublk device"
}
