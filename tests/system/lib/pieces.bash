# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# The prepared pieces of a guest, cached in $work: a root image with the daemons,
# kernels with the modules they need, and the guest's own programs.
# Uses: here, work, log, skip, lib/packages.bash.

guest_packages=(busybox-static mount nbd-server nbd-client nbdkit qemu-utils bindfs redis-server redis-tools
	dmsetup e2fsprogs xfsprogs)

# make_root_image: the path of the root image, in $root_image.
make_root_image() {
	root_image=$work/root-$(echo "${guest_packages[*]}" | cksum | cut -d ' ' -f 1).img
	[ ! -e "$root_image" ] || return 0
	log "preparing the root image"
	local tree=$work/tree.$$ deb
	download_closure "$work/debs" "${guest_packages[@]}"
	mkdir -p "$tree"
	for deb in "$work"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --no-same-owner
	done
	rm -rf "${tree:?}"/usr/{share,include}
	mkdir -p "$tree"/{proc,sys,dev,run,tmp,exp,mnt}
	# The cache is for one kernel and one purpose: no journal, no spare room.
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$root_image.$$" 512M >/dev/null
	mv "$root_image.$$" "$root_image"
	rm -rf "$tree" "$work/debs"
}

# make_kernel NAME: vmlinuz and initramfs.cpio in the folder $kernel.
#   default  the smallest kernel that Debian has for virtual machines
#   ublk     the first kernel that has ublk_drv
#   containers  the default one, with what containers need
#   cut         the default one, with devices that fail, and xfs
make_kernel() {
	local name=$1 meta wanted=(virtio_pci virtio_blk ext4 nbd fuse loop)
	kernel=$work/kernel-$name
	[ ! -e "$kernel/vmlinuz" ] || return 0
	log "preparing the $name kernel"
	local tree=$work/kernel.$$ module version
	meta=linux-image-cloud-amd64
	if [ "$name" = ublk ]; then
		meta=linux-image-6.12-amd64    # a second kernel of Debian 12
		update_lists
		apt-cache show $meta >/dev/null 2>&1 || meta=linux-image-amd64
		wanted+=(ublk_drv)
	fi
	[ "$name" != containers ] || wanted+=(overlay)
	[ "$name" != cut ] || wanted+=(dm_flakey xfs)
	download_kernel "$tree" "$meta"
	dpkg-deb -x "$tree"/*.deb "$tree"
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
	mv "$tree"/boot/vmlinuz-* "$kernel/vmlinuz"
	rm -rf "$tree"
}

# build_programs: what runs in the guest and is ours, in the folder $programs.
build_programs() {
	programs=$work/programs-$(cat "$here"/guest/*.[ch] "$here/lib/pieces.bash" | cksum | cut -d ' ' -f 1)
	[ ! -e "$programs" ] || return 0
	local out=$work/programs.$$ program common=("$here"/guest/{load,proc,referee}.c)
	local cflags=(-std=gnu11 -O2 -Wall -Wextra)
	mkdir -p "$out"
	for program in judge soak_watch pressure; do
		gcc "${cflags[@]}" -static -o "$out/$program" "$here/guest/$program.c" "${common[@]}"
	done
	gcc "${cflags[@]}" -shared -fPIC -o "$out/constructor_only.so" "$here/guest/constructor_only.c"
	# The daemons are dynamic, or nothing could be preloaded into them.
	gcc "${cflags[@]}" -pthread -o "$out/soak_daemon" "$here/guest/soak_daemon.c"
	gcc "${cflags[@]}" -o "$out/early" "$here/guest/early.c" "${common[@]}"
	gcc "${cflags[@]}" -o "$out/ublk_memory" "$here/guest/ublk_memory.c" -l:liburing.a
	gcc "${cflags[@]}" -static -o "$out/ublk_static" "$here/guest/ublk_memory.c" -l:liburing.a
	gcc "${cflags[@]}" -pthread -o "$out/power_cut" "$here/guest/power_cut.c" "${common[@]}"
	mv "$out" "$programs"
}

# prepare COMMAND...: run it when nobody else prepares anything.
prepare() {
	mkdir -p "$work"
	install_host_packages
	exec 8>"$work/prepare.lock"
	flock 8
	rm -rf "$work"/{tree,kernel,programs,container}.[0-9]*    # of a call that was interrupted
	"$@"
	exec 8>&-
}

make_pieces() {
	make_root_image
	make_kernel "$1"
	build_programs
}
