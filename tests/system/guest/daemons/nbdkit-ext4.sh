# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# nbdkit in the foreground; the store is a file on ext4, each block of which is there beforehand.
comm=nbdkit
serve() {
	mkdir -p /run/store
	/sbin/mke2fs -t ext4 "$store" >/dev/null 2>&1    # busybox's makes no journal
	mount -t ext4 "$store" /run/store || fail "cannot mount the store"
	dd if=/dev/zero of=/run/store/disk bs=1M count="$STORE_MIB" 2>/dev/null
	sync
	echo 3 >/proc/sys/vm/drop_caches
	start nbdkit -f $nbdkit file /run/store/disk &
	connect "$1"
}
