# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# Clean roots of a distribution, to run something in; and what is told of that. The script that takes
# this runs once more in a mount namespace, so that what is mounted is gone with it.

if [ "${1-}" != --mounted ]; then
	[ "$(id -u)" = 0 ] || { echo "skipped: roots of other distributions take root" && exit 77; }
	unshare --mount true 2>/dev/null || { echo "skipped: no mount namespaces here" && exit 77; }
	exec unshare --mount --propagation private "$0" --mounted "$@"
fi
shift

work=$(mktemp -d)
chmod 755 "$work"
trap 'unmount; rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
done_rows=0
failures=0

tell() { # ROW WHAT
	printf '%-13s %s\n' "$1" "$2"
}

failed() { # ROW WHAT
	failures=$((failures + 1))
	tell "$1" "FAILED: $2"
	tail -n 60 "$work/log" | sed 's/^/  /'
}

# finish: exit status 77 where all rows lacked something.
finish() {
	[ $failures = 0 ] || exit 1
	[ $done_rows != 0 ] || { echo "skipped: no row could be had" && exit 77; }
	exit 0
}

unmount() {
	local root mount
	for root in "$work"/*/; do
		for mount in proc dev sys; do
			umount --recursive --lazy "$root$mount" 2>/dev/null
		done
	done
}

# open_root ARCHIVE: as $root, which is no mount point, with the kernel's file systems and the network.
open_root() {
	local mount
	mkdir "$root"
	tar --extract --file "$1" --directory "$root" --exclude './dev/*'
	for mount in proc dev sys; do
		mount --rbind "/$mount" "$root/$mount"
	done
	cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
}

# in_root [SETPRIV OPTION...] -- COMMAND...: by the command $inside, if any; its output is in $work/log.
in_root() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	"${inside[@]}" chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		${http_proxy:+"http_proxy=$http_proxy"} setpriv "${options[@]}" "$@" >"$work/log" 2>&1 </dev/null
}
inside=()
