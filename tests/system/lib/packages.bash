# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# Packages: a few installed on this machine, the guest's only downloaded and
# unpacked.  Uses: work, log, skip.

export PATH=$PATH:/usr/sbin:/sbin

# update_lists: apt's package lists, brought up to date at most once.
update_lists() {
	[ "$(id -u)" = 0 ] || return 0
	[ -n "${lists_are_fresh:-}" ] || apt-get -q update >>"$work/apt.log" 2>&1 ||
		log "apt-get update failed (see $work/apt.log); going on with the lists at hand"
	lists_are_fresh=1
}

# need_file FILE PACKAGE: note the package as missing unless FILE, a path or a
# command, is there.
need_file() {
	command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing+=("$2")
}

# install_host_packages: all that this machine needs to build and run the guest.
install_host_packages() {
	[ "$(uname -m)" = x86_64 ] || skip "the guest is x86-64, this machine is $(uname -m)"
	command -v apt-get >/dev/null || skip "the guest is made of Debian packages; there is no apt-get here"
	local missing=()
	need_file qemu-system-x86_64 qemu-system-x86
	need_file cpio cpio
	need_file xz xz-utils
	need_file gcc gcc
	need_file /usr/lib/x86_64-linux-gnu/libc.a libc6-dev
	need_file /usr/lib/x86_64-linux-gnu/liburing.a liburing-dev
	need_file modprobe kmod
	need_file mke2fs e2fsprogs
	need_file flock util-linux
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || skip "needs these packages installed: ${missing[*]}"
	log "installing ${missing[*]}"
	update_lists
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" \
		>>"$work/apt.log" 2>&1 || skip "apt-get install failed, see $work/apt.log"
}

# download_closure FOLDER PACKAGE...: packages and all they depend on, as apt
# would install them on an empty system; nothing is installed.
download_closure() {
	local folder=$1
	shift
	mkdir -p "$folder/partial"
	: >"$folder/empty-status"
	update_lists
	apt-get -q -y --no-install-recommends --download-only -o Debug::NoLocking=1 \
		-o Dir::State::status="$folder/empty-status" -o Dir::Cache::archives="$folder" \
		-o APT::Sandbox::User=root install "$@" >>"$work/apt.log" 2>&1 ||
		skip "cannot download the guest's packages ($*), see $work/apt.log"
}

# download_kernel FOLDER META: the kernel image that the meta package depends on.
download_kernel() {
	local image
	update_lists
	image=$(apt-cache depends "$2" 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
	[ -n "$image" ] || skip "apt knows no kernel package $2"
	mkdir -p "$1"
	(cd "$1" && apt-get -q -o APT::Sandbox::User=root download "$image") >>"$work/apt.log" 2>&1 ||
		skip "cannot download $image, see $work/apt.log"
}
