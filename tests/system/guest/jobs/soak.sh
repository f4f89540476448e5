# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# The soak: a daemon that forks, threads and allocates, under memory pressure for
# as long as asked.  Swap is a plain disk: what is watched is the lock.
mkswap /dev/vdb >/dev/null
swapon /dev/vdb || fail "swapon"
start /exp/soak_daemon &
sleep 3
# The first of them; its name is another for as long as it forks.
daemon=$(sort -n /sys/fs/cgroup/daemon/cgroup.procs | head -n 1)
[ -n "$daemon" ] || fail "the daemon did not start"
report "note pid=$daemon $(memory_of "$daemon")"
# Pressure from all sides: the whole machine is short, and the daemon is reclaimed
# from again and again.
reclaim_daemon_every 5 &
/exp/soak_watch "$daemon" "$LOAD_MIB" "$LOAD_PROCS" "$RUN_SECONDS"
fail "the watch ended with status $?"
