# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# nbdkit in the foreground; the store is the daemon's own memory.
comm=nbdkit
[ "$CODE" != tmpfs ] || code_on_tmpfs "$(command -v nbdkit)" /usr/lib/x86_64-linux-gnu/nbdkit/plugins/nbdkit-memory-plugin.so
serve() {
	start nbdkit -f $DAEMON_FLAGS $nbdkit memory "${STORE_MIB}M" &
	connect "$1"
}
