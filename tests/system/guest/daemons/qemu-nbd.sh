# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# qemu-nbd with an O_DIRECT store: nothing between the daemon and the disk.
comm=qemu-nbd
[ "$CODE" != tmpfs ] || code_on_tmpfs /usr/bin/qemu-nbd
serve() {
	start qemu-nbd -t -f raw --cache=none --aio=native $qemu "$store" &
	connect "$1"
}
