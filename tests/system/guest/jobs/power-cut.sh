# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# A power cut: the store's device goes on answering, and keeps nothing any more (dm-flakey).  See
# power_cut.c, which calls this file again, for the steps in between.
#
# CUT_FS    device: the store is the device itself; ext4, xfs: a file on it
# CUT_SYNC  nosync: it is only said that it was synced
# table KIND...: what becomes of reads and writes from now on.  A file system is not asked to put
# itself in order, nor is anything written first.
table() {
	dmsetup suspend --nolockfs cut && dmsetup load cut --table "0 $sectors $*" && dmsetup resume cut
}
export PATH=/exp/busybox:/usr/sbin:/usr/bin:/sbin:/bin
export DM_DISABLE_UDEV=1    # there is none: it makes the node by itself
. /exp/config
sectors=$(cat /sys/block/vdb/size)
case ${1-} in
cut) table flakey /dev/vdb 0 0 1000 1 drop_writes; exit ;;
restore)
	[ "$CUT_FS" = device ] || umount /run/store || exit
	table linear /dev/vdb 0 || exit
	[ "$CUT_FS" = device ] || mount -t "$CUT_FS" /dev/mapper/cut /run/store
	exit ;;
esac

dmsetup create cut --table "0 $sectors linear /dev/vdb 0" || fail "dmsetup"
file=/dev/mapper/cut
[ -b $file ] || fail "there is no $file"
if [ "$CUT_FS" != device ]; then
	file=/run/store/disk
	mkdir /run/store
	case $CUT_FS in
	xfs) mkfs.xfs /dev/mapper/cut ;;
	*) /sbin/mke2fs -t "$CUT_FS" /dev/mapper/cut ;;    # busybox's makes no journal
	esac >/run/mkfs 2>&1 || fail "$(tail -n 1 /run/mkfs)"
	mount -t "$CUT_FS" /dev/mapper/cut /run/store || fail "mount"
fi
dd if=/dev/zero of=$file bs=1M count="$STORE_MIB" conv=notrunc 2>/dev/null
sync
echo 3 >/proc/sys/vm/drop_caches
report "beat t=0"
# shellcheck disable=SC2086
start /exp/power_cut $file "$STORE_MIB" "$RUN_SECONDS" $CUT_SYNC
fail "power_cut ended with status $?"
