# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# nbd-server -d: one process that never forks; through the page cache.
comm=nbd-server
serve() {
	printf '%s\n' '[generic]' "unixsock = $socket" '[export]' "exportname = $store" $DAEMON_OPTIONS \
		>"/run/nbd$1.conf"
	start nbd-server -d -C "/run/nbd$1.conf" &
	connect "$1" -N export
}
