# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# nbd-server: goes into the background, then forks a child per connection.
comm=nbd-server
serve() {
	cat >"/run/nbd$1.conf" <<-CONF
		[generic]
		unixsock = $socket
		[export]
		exportname = $store
	CONF
	start nbd-server -C "/run/nbd$1.conf"
	connect "$1" -N export
}
