# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# nbdkit in the foreground; the store is a disk, through the page cache.
comm=nbdkit
serve() {
	start nbdkit -f $nbdkit $DAEMON_FLAGS file "$store" $DAEMON_OPTIONS &
	connect "$1"
}
