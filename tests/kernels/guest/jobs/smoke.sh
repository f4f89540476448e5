# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# What is said of this kernel, and Debian's programs under the library: they load it, are locked, and
# stay so over fork and the drop of privileges.

# expect WHAT COMMAND...: one line of the report.
expect() {
	what=$1
	shift
	if "$@"; then
		echo "ok - $what"
	else
		echo "not ok - $what: $*"
		sed 's/^/# /' /run/log
	fi
}

# serves [VARIABLE=VALUE...]: a daemon that forks, leads a session and drops root is locked.
serves() {
	rm -f /tmp/nbd.*
	(
		ulimit -l 1048576
		exec env "$@" LD_PRELOAD="$library" nbdkit -U /tmp/nbd.sock -P /tmp/nbd.pid --user=65534 \
			--group=65534 null 1M
	) >/run/log 2>&1 || return
	tries=50
	until [ -s /tmp/nbd.pid ] || [ $((tries -= 1)) = 0 ]; do busybox sleep 0.2; done
	daemon=$(cat /tmp/nbd.pid)
	grep -E '^(Uid|VmLck):' "/proc/$daemon/status" >>/run/log
	kill "$daemon"
	grep -q '^Uid:[[:space:]]*65534' /run/log && grep -qE '^VmLck:[[:space:]]+[1-9]' /run/log
}

/exp/tests/facts || echo "not ok - facts end with status $?"
# By its path: busybox has one, too.
LD_PRELOAD=$library DUENDE_MLOCK_REQUIRED=1 /bin/grep VmLck /proc/self/status >/run/log 2>&1
expect "a program is locked" grep -qE '^VmLck:[[:space:]]+[1-9]' /run/log
expect "and says so" grep -qE '^duende-mlock\[[0-9]+\] grep: locked \(' /run/log
# shellcheck disable=SC2016  # for the other shell
LD_PRELOAD=$library bash -c '(while read -r name size _; do
	[ "$name" != VmLck: ] || echo "$size"; done) </proc/self/status' >/run/log 2>/dev/null
expect "a child of it is locked" grep -q '^[1-9]' /run/log
expect "a daemon is locked over fork and drop" serves
expect "where only CAP_IPC_LOCK lifts the limit, too" serves DUENDE_MLOCK_RAISE_LIMIT=0
