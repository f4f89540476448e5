# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# A FUSE file system serves a file; a loop device makes it a block device.
comm=bindfs
serve() {
	mkdir /run/store /run/fuse
	mke2fs "$store" >/dev/null 2>&1
	mount -t ext4 "$store" /run/store || fail "cannot mount the store"
	dd if=/dev/zero of=/run/store/swap bs=1M count="$STORE_MIB" 2>/dev/null
	sync
	start bindfs -f /run/store /run/fuse &
	attempt 50 test -f /run/fuse/swap || fail "bindfs does not serve"
	device=loop$1
	losetup "/dev/$device" /run/fuse/swap || fail "losetup"
}
