# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# The prepared pieces of a guest, cached in $work: a root image with the daemons,
# kernels with the modules they need, and the guest's own programs.
# Uses: here, work, log, skip, lib/packages.bash.

guest_packages=(busybox-static mount nbd-server nbd-client nbdkit qemu-utils bindfs redis-server redis-tools
	dmsetup e2fsprogs xfsprogs vmtouch memlockd earlyoom)

# make_root_image [RELEASE ARCHITECTURE]: the path of the root image, in $root_image.
make_root_image() {
	root_image=$work/root-${2:+$2-}$(echo "${guest_packages[*]}" | cksum | cut -d ' ' -f 1).img
	[ ! -e "$root_image" ] || return 0
	log "preparing the root image"
	local tree=$work/tree.$$ deb
	[ $# = 0 ] || use_release "$@"
	download_closure "$work/debs" "${guest_packages[@]}"
	apt_options=()
	mkdir -p "$tree"
	for deb in "$work"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --no-same-owner
	done
	rm -rf "${tree:?}"/usr/{share,include}
	mkdir -p "$tree"/{proc,sys,dev,run,tmp,exp,mnt}
	# The cache is for one kernel and one purpose: no journal, no spare room.
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$root_image.$$" 512M >/dev/null
	mv "$root_image.$$" "$root_image"
	rm -rf "$tree" "$work/debs" "$work/lists.$$"
}

# make_kernel NAME: vmlinuz and initramfs.cpio in the folder $kernel.
#   default  the smallest kernel that Debian has for virtual machines
#   ublk     the first kernel that has ublk_drv
#   containers  the default one, with what containers need
#   cut         the default one, with devices that fail, and xfs
# make_kernel NAME RELEASE ARCHITECTURE PACKAGE: that of another release or processor
make_kernel() {
	local name=$1 meta wanted=(virtio_pci virtio_blk ext4 nbd fuse loop)
	kernel=$work/kernel-$name
	[ ! -e "$kernel/vmlinuz" ] || return 0
	log "preparing the $name kernel"
	local tree=$work/kernel.$$ module version deb
	meta=linux-image-cloud-amd64
	if [ "$name" = ublk ]; then
		meta=linux-image-6.12-amd64    # a second kernel of Debian 12
		update_lists
		apt-cache show $meta >/dev/null 2>&1 || meta=linux-image-amd64
		wanted+=(ublk_drv)
	fi
	[ "$name" != containers ] || wanted+=(overlay)
	[ "$name" != cut ] || wanted+=(dm_flakey xfs)
	if [ $# -gt 1 ]; then
		use_release "$2" "$3"
		meta=$4
	fi
	download_kernel "$tree" "$meta"
	apt_options=()
	for deb in "$tree"/*.deb; do
		dpkg-deb -x "$deb" "$tree"
	done
	[ -e "$tree/lib" ] || ln -s usr/lib "$tree/lib"
	version=$(ls "$tree/lib/modules")
	# Compressed modules would have to be unpacked by busybox in the guest.
	find "$tree/lib/modules" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "$tree" "$version"
	mkdir -p "$tree/initramfs"/{bin,modules} "$kernel"
	for module in "${wanted[@]}"; do
		modprobe -d "$tree" -S "$version" --show-depends "$module" 2>/dev/null ||
			grep -q "/$module.ko" "$tree/lib/modules/$version/modules.builtin" ||
			skip "kernel $version has no $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$tree/modules"
	while read -r module; do
		cp "$module" "$tree/initramfs/modules/"
		echo "${module##*/}"
	done <"$tree/modules" >"$tree/initramfs/modules/order"
	debugfs -R "dump /bin/busybox $tree/initramfs/bin/busybox" "$root_image" 2>/dev/null
	chmod 755 "$tree/initramfs/bin/busybox"
	(cd "$tree/initramfs" && find . | cpio -o -H newc --quiet) >"$kernel/initramfs.cpio"
	echo "$version" >"$kernel/version"
	find "$tree" -name 'vmlinu[xz]*' -type f -exec mv {} "$kernel/vmlinuz" \; -quit
	rm -rf "$tree" "$work/lists.$$"
}

# build_programs: what runs in the guest and is ours, in the folder $programs.
build_programs() {
	programs=$work/programs-${architecture/#amd64/}$(cat "$here"/guest/*.[ch] "$here/lib/pieces.bash" | cksum | cut -d ' ' -f 1)
	[ ! -e "$programs" ] || return 0
	local out=$work/programs.$$ program compiler=gcc common=("$here"/guest/{load,proc,referee}.c)
	local cflags=(-std=gnu11 -O2 -Wall -Wextra)
	case $architecture in arm64) compiler=aarch64-linux-gnu-gcc ;; esac
	command -v "$compiler" >/dev/null || skip "needs $compiler (Debian: gcc-${compiler%-gcc})"
	mkdir -p "$out"
	for program in judge soak_watch pressure; do
		"$compiler" "${cflags[@]}" -static -o "$out/$program" "$here/guest/$program.c" "${common[@]}"
	done
	"$compiler" "${cflags[@]}" -shared -fPIC -o "$out/constructor_only.so" "$here/guest/constructor_only.c"
	# The daemons are dynamic, or nothing could be preloaded into them.
	"$compiler" "${cflags[@]}" -pthread -o "$out/soak_daemon" "$here/guest/soak_daemon.c"
	"$compiler" "${cflags[@]}" -o "$out/early" "$here/guest/early.c" "${common[@]}"
	"$compiler" "${cflags[@]}" -pthread -o "$out/power_cut" "$here/guest/power_cut.c" "${common[@]}"
	if [ "$architecture" = amd64 ]; then
		gcc "${cflags[@]}" -o "$out/ublk_memory" "$here/guest/ublk_memory.c" -l:liburing.a
		gcc "${cflags[@]}" -static -o "$out/ublk_static" "$here/guest/ublk_memory.c" -l:liburing.a
	fi
	mv "$out" "$programs"
}

# prepare COMMAND...: run it when nobody else prepares anything.
prepare() {
	mkdir -p "$work"
	install_host_packages
	exec 8>"$work/prepare.lock"
	flock 8
	rm -rf "$work"/{tree,kernel,programs,container,lists}.[0-9]*    # of a call that was interrupted
	"$@"
	exec 8>&-
}

# make_pieces KERNEL: all of them, for $architecture.
make_pieces() {
	if [ "$architecture" = amd64 ]; then
		make_root_image
		make_kernel "$1"
	else
		make_root_image bookworm "$architecture"
		make_kernel "$1-$architecture" bookworm "$architecture" "linux-image-cloud-$architecture"
	fi
	build_programs
}
