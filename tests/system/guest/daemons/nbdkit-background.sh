# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# nbdkit as it starts by default: it forks itself into the background.
comm=nbdkit
serve() {
	start nbdkit $nbdkit -P "/run/nbdkit$1.pid" file "$store"
	connect "$1"
}
