# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# qemu-nbd --fork: forks itself into the background.
comm=qemu-nbd
serve() {
	start qemu-nbd --fork -t -f raw --cache=none --aio=native $qemu "$store"
	connect "$1"
}
