# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# Process 1 of the guest on the root image: prepare the kernel, then do the one
# job that the configuration names.
#
# /exp/config      KEY='value' lines from the host
# /exp/daemon.env  KEY=value lines, the environment of the daemon under test, if any
# /exp/shim.so     what is preloaded into it; absent when nothing is
# /exp/store.so    the second library, where it is preloaded as well
# /exp/duende-mlock  the program, where it runs the daemon or attaches to it (BY)
# ttyS1 takes the report, ttyS2 the daemon's own output, ttyS0 the kernel's.
export PATH=/exp/busybox:/usr/sbin:/usr/bin:/sbin:/bin
. /exp/config
export BY

report() { echo "$*" >/dev/ttyS1; }
quit()   { /exp/judge -q; }
fail()   { report "RESULT result=error why=\"$(echo "$*" | tr '\n"' "  ")\""; quit; }
tune()   { echo "$2" 2>/dev/null >"$1" || fail "cannot set $1 to $2"; }

# Repeat a command until it succeeds: attempt TRIES COMMAND...
attempt() {
	local tries="$1"
	shift
	until "$@" >/run/attempt.log 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.2
	done
}

# What of /proc/PID/status matters here, on one line.
memory_of() {
	awk '/^(VmSize|VmLck|VmRSS|VmSwap|Threads):/ { printf "%s%s ", $1, $2 }' "/proc/$1/status"
}

# Process ids of that command name, oldest first.
processes() {
	for comm_file in /proc/[0-9]*/comm; do
		[ "$(cat "$comm_file" 2>/dev/null)" != "$1" ] || echo "$comm_file"
	done | cut -d / -f 3 | sort -n
}

# start COMMAND...: run it in the daemon's cgroup with the daemon's environment.
# The caller adds `&` unless the program puts itself into the background.
start() {
	# shellcheck disable=SC2016  # expanded by the inner shell
	sh -c '
		echo $$ >/sys/fs/cgroup/daemon/cgroup.procs
		if [ -f /exp/daemon.env ]; then
			while read -r assignment; do export "$assignment"; done </exp/daemon.env
		fi
		if [ -f /exp/shim.so ]; then export LD_PRELOAD=/exp/shim.so; fi
		if [ -f /exp/store.so ]; then export LD_PRELOAD=/exp/shim.so:/exp/store.so; fi
		if [ "$BY" = run ]; then set -- /exp/duende-mlock run "$@"; fi
		exec "$@"' start "$@" </dev/null >/dev/ttyS2 2>&1
}

# What mild pressure does to an idle daemon, again and again.
reclaim_daemon_every() {
	while sleep "$1"; do echo 16M >/sys/fs/cgroup/daemon/memory.reclaim; done 2>/dev/null
}

ifconfig lo 127.0.0.1 up
mkdir -p /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/daemon /sys/fs/cgroup/load
tune /sys/fs/cgroup/cgroup.subtree_control +memory
dmesg -n 8
tune /proc/sys/kernel/sysrq 1
tune /proc/sys/kernel/hung_task_timeout_secs 10
tune /proc/sys/kernel/hung_task_warnings -1
tune /proc/sys/vm/swappiness "$SWAPPINESS"
[ -z "$MIN_FREE_KIB" ] || tune /proc/sys/vm/min_free_kbytes "$MIN_FREE_KIB"
if [ -n "$DIRTY_KIB" ]; then
	tune /proc/sys/vm/dirty_bytes $((DIRTY_KIB * 1024))
	tune /proc/sys/vm/dirty_background_bytes $((DIRTY_KIB * 512))
fi
if [ -n "$MIN_TTL_MS" ]; then
	tune /sys/kernel/mm/lru_gen/enabled y
	tune /sys/kernel/mm/lru_gen/min_ttl_ms "$MIN_TTL_MS"
fi
report "note kernel=$(uname -r) memtotal_kib=$(awk '/MemTotal/ { print $2 }' /proc/meminfo)" \
	"min_free_kib=$(cat /proc/sys/vm/min_free_kbytes)"

. "/exp/jobs/$JOB.sh"
