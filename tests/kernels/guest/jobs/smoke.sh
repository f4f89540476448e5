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

# locked NAME: the first process of that name is, and nothing of it is in swap.
locked() {
	pid=$(busybox pidof "$1") &&
		grep -qE '^VmLck:[[:space:]]+[1-9]' "/proc/${pid%% *}/status"
}

# A daemon that forks, becomes the leader of a session, and drops root: with LIMIT KiB.
serves() {
	(
		ulimit -l "$1"
		export LD_PRELOAD=$library
		nbdkit -U /run/nbd.sock -P /run/nbd.pid --user=nobody --group=nogroup null 1M >/run/log 2>&1
	) || return
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ ! -s /run/nbd.pid ] || break
		busybox sleep 0.2
	done
	grep -q '^Uid:[[:space:]]*65534' "/proc/$(cat /run/nbd.pid)/status" && locked nbdkit
	status=$?
	kill "$(cat /run/nbd.pid)"
	rm -f /run/nbd.pid /run/nbd.sock
	return $status
}

/exp/tests/facts || echo "not ok - facts end with status $?"
LD_PRELOAD=$library DUENDE_MLOCK_REQUIRED=1 grep VmLck /proc/self/status >/run/log 2>&1
expect "a program is locked" grep -qE '^VmLck:[[:space:]]+[1-9]' /run/log
expect "and says so" grep -qE '^duende-mlock\[[0-9]+\] grep: locked \(' /run/log
# shellcheck disable=SC2016  # for the other shell
LD_PRELOAD=$library bash -c '(read -r line; while read -r name size _; do
	[ "$name" != VmLck: ] || echo "$size"; done) </proc/self/status' >/run/log 2>/dev/null
expect "a child of it is locked" grep -q '^[1-9]' /run/log
printf '%s\n' root:x:0:0::/:/bin/sh nobody:x:65534:65534::/:/bin/sh >/run/passwd
printf '%s\n' root:x:0: nogroup:x:65534: >/run/group
expect "a daemon is locked over fork and drop" serves unlimited
expect "the same where only CAP_IPC_LOCK lifts the limit" serves 65536
