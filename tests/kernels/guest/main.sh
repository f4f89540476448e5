# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# Process 1 of the guest: what is said of this kernel, a real daemon, then each test of /exp/tests/list,
# one a line: its name, a tab, its program with arguments. Reports in the Test Anything Protocol.
export PATH=/exp/tests/bin:/usr/sbin:/usr/bin:/sbin:/bin:/exp/busybox
[ -c /dev/ttyS1 ] || ln -s console /dev/ttyS1
exec >/dev/ttyS1 2>&1
echo "kernel $(uname -r)"

# Files of the tests are to be on a disk: what is in memory is another kind.
for disk in /dev/vd?; do grep -q "^$disk " /proc/mounts || break; done
busybox mke2fs "$disk" >/dev/null 2>&1
mount -t ext4 "$disk" /tmp
chmod 1777 /tmp
mkdir -p /dev/shm /dev/pts
mount -t tmpfs none /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || mount -t tmpfs none /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
busybox ifconfig lo 127.0.0.1 up
dmesg -n 1

library=/exp/tests/libduende_mlock_preload.so
. /exp/jobs/smoke.sh
export DUENDE_MLOCK_LIBRARY=$library DUENDE_MLOCK_COMMAND=/exp/tests/duende-mlock
export SLOWNESS=10
ulimit -l 8192 # what Linux 5.16 begins with; before, 64
while IFS='	' read -r name program; do
	program=/exp/tests/$program
	case $program in
	*.sh) ;; # runs the library with all there is, which knows no such variable
	*) program="env DUENDE_MLOCK_HOSTS=/exp/tests/hosts $program" ;;
	esac
	# shellcheck disable=SC2086  # with its arguments
	busybox timeout 300 $program >/run/log 2>&1 </dev/null
	case $? in
	0) echo "ok - $name" ;;
	77) echo "ok - $name # SKIP $(sed -n 's/^skipped: //p' /run/log | tail -n 1)" ;;
	*)
		echo "not ok - $name ($(cut -d ' ' -f 1 /proc/uptime) s)"
		grep '^FAILED' /run/log | sort -u | sed 's/^/# /'
		sed 's/^/# /' /run/log | tail -n 60
		;;
	esac
done </exp/tests/list
echo "end after $(cut -d ' ' -f 1 /proc/uptime) s"
exec >/dev/null 2>&1 # closing a serial line waits until it has all been sent
busybox poweroff -f
