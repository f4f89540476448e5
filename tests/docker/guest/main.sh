#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs in the guest, as process 1: what an engine expects of a machine, then the check.
exec >/dev/ttyS1 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts devpts /dev/pts
mount -t tmpfs none /dev/shm
mount -t mqueue none /dev/mqueue
mount -t cgroup2 none /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd

/exp/check --prepared /exp/material
echo "status $?"
exec >/dev/null 2>&1 # closing a serial line waits until it has all been sent
sync
busybox poweroff -f
