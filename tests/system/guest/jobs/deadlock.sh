# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# The experiment: a daemon that serves the swap device is preloaded with the
# library (or not), goes idle, and then meets memory pressure.

# --- the daemon, unmodified, and its device -----------------------------------
# Put the code of a program, its plugins and all their libraries on a tmpfs,
# bound over the originals.  tmpfs is swapped like anonymous memory: the daemon's
# own code ends up on the daemon's own device.  The daemon's cgroup is charged
# for the copies, so that ageing reaches them.
code_on_tmpfs() {
	mount -t tmpfs none /mnt
	(
		sh -c 'echo $PPID' >/sys/fs/cgroup/daemon/cgroup.procs
		for file in $(for object in "$@"; do
				echo "$object"
				/lib64/ld-linux-x86-64.so.2 --list "$object"
			done | grep -o '/[^ ]*' | sort -u); do
			copy=/mnt/$(echo "$file" | tr / _)
			cp "$file" "$copy" && mount -o bind "$copy" "$file" || exit
		done
	) || fail "code cannot be put on tmpfs"
	copied=$(df -k /mnt | awk 'END { print $3 }')
	report "note code on tmpfs: $copied KiB"
	[ "$copied" -gt 1024 ] || fail "code is not on tmpfs"
}

# Where daemon number N listens, as each program spells it.
address() {
	store=/dev/vd$(echo "$1" | tr 012 bcd)
	if [ "$TRANSPORT" = tcp ]; then
		port=$((10809 + $1))
		client="127.0.0.1 $port" nbdkit="-i 127.0.0.1 -p $port" qemu="-b 127.0.0.1 -p $port"
	else
		socket=/run/nbd$1.sock
		client="-unix $socket" nbdkit="-U $socket" qemu="-k $socket"
	fi
}

# connect N [OPTION...]: /dev/nbdN becomes the device of daemon number N.
connect() {
	device=nbd$1
	shift
	# shellcheck disable=SC2086  # $client is two words, $CLIENT_FLAGS any number
	attempt 50 nbd-client $client "/dev/$device" -b 4096 $CLIENT_FLAGS "$@" ||
		fail "nbd-client: $(tail -n 2 /run/attempt.log)"
}

# A daemon's file defines `comm`, its process name, and `serve N`, which starts
# daemon number N on $store and leaves the name of the block device in $device.
. "/exp/daemons/$DAEMON.sh"

# As a unit has them: before the daemon starts.
tune /sys/fs/cgroup/daemon/memory.swap.max "$DAEMON_SWAP_MAX"
[ "$DAEMON_MIN_MIB" = 0 ] || tune /sys/fs/cgroup/daemon/memory.min "${DAEMON_MIN_MIB}M"
[ "$DAEMON_LOW_MIB" = 0 ] || tune /sys/fs/cgroup/daemon/memory.low "${DAEMON_LOW_MIB}M"

number=0 devices='' servers=''
while [ "$number" -lt "$COUNT" ]; do
	address "$number"
	serve "$number"
	mkswap "/dev/$device" >/dev/null || fail "mkswap $device"
	# The serving process is the newest: some daemons fork for a connection.
	server=$(processes "$comm" | tail -n 1)
	[ -n "$server" ] || fail "$comm is not running"
	devices="$devices $device" servers="$servers $server"
	number=$((number + 1))
done
for device in $devices; do
	# busybox's has no -p, and several devices share the load only at one priority.
	/sbin/swapon -p 5 "/dev/$device" || fail "swapon $device"
done
for pid in $(processes "$comm"); do
	report "note pid=$pid ppid=$(awk '/^PPid/ { print $2 }' "/proc/$pid/status") $(memory_of "$pid")"
done

# --- ordinary service first, so that buffers and threads exist ----------------
readers=''
for device in $devices; do
	for offset in 1 2 3 4; do
		dd if="/dev/$device" of=/dev/null bs=256k count=16 skip=$((offset * 32)) \
			iflag=direct 2>/dev/null &
		readers="$readers $!"
	done
done
# shellcheck disable=SC2086
wait $readers

# --- the lock from outside, of a daemon that serves its own swap by now --------
if [ "$BY" = attach ]; then
	# shellcheck disable=SC2086
	/exp/duende-mlock attach --tree $servers >/dev/ttyS2 2>&1 || fail "attach failed"
fi

# --- what is advised to be run beside it ----------------------------------------
# All files that it maps: program, libraries, plugins.
files_of() { awk '$6 ~ "^/" { print $6 }' "/proc/$1/maps" | sort -u; }
case $BESIDE in
"") ;;
vmtouch)
	# shellcheck disable=SC2046
	vmtouch -l -d -w $(files_of "$server") >/dev/null || fail "vmtouch failed" ;;
memlockd)
	files_of "$server" >/run/memlockd.cfg
	memlockd -c /run/memlockd.cfg || fail "memlockd failed" ;;
earlyoom) earlyoom >/dev/ttyS2 2>&1 & ;;
*) fail "nothing is called $BESIDE" ;;
esac
if [ -n "$BESIDE" ]; then
	attempt 20 pidof "$BESIDE" || fail "$BESIDE does not run"
	report "note beside: $(memory_of "$(processes "$BESIDE" | head -n 1)")"
fi

# --- then idleness: the pages of an idle daemon are the first to go ------------
# memory.reclaim does in seconds what hours of mild pressure do.  It may hang
# with the daemon, so it is not waited for.
( echo 64M >/sys/fs/cgroup/daemon/memory.reclaim ) 2>/dev/null &
sleep 3
for server in $servers; do report "note idle pid=$server $(memory_of "$server")"; done

# --- the load, and the verdict -------------------------------------------------
[ "$DAEMON_MAX_MIB" = 0 ] || tune /sys/fs/cgroup/daemon/memory.max "${DAEMON_MAX_MIB}M"
[ "$LOAD_MAX_MIB" = 0 ]   || tune /sys/fs/cgroup/load/memory.max "${LOAD_MAX_MIB}M"
[ "$RECLAIM_S" = 0 ]      || reclaim_daemon_every "$RECLAIM_S" &
# shellcheck disable=SC2046,SC2086
/exp/judge -m "$LOAD_MIB" -n "$LOAD_PROCS" -t "$RUN_SECONDS" -s "$STALL_SECONDS" \
	$(printf -- '-d %s ' $devices) $(printf -- '-p %s ' $servers)
fail "the judge ended with status $?"
