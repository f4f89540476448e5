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

# use_release RELEASE ARCHITECTURE: what follows is downloaded from that release of Debian or
# Ubuntu, and for that processor.
apt_options=()    # apt's options for that; none: from where this machine installs
use_release() {
	local lists=$work/lists.$$ keys=/usr/share/keyrings
	install_mmdebstrap
	case $1 in
	xenial | bionic | focal | jammy | noble)
		# Debian's keys vouch for the package of Ubuntu's.
		[ -e "$work/keys/ubuntu-archive-keyring.gpg" ] || download_ubuntu_keys
		keys=$work/keys ;;
	esac
	# With its updates; where a mirror has those half, the release alone will do.
	read_lists "$@" || read_lists "$@" http://deb.debian.org/debian ||
		skip "cannot read the package lists of $1, see $work/apt.log"
	apt_options=(-o Dir="$lists" -o Dir::State::status="$lists/var/lib/dpkg/status"
		-o APT::Architecture="$2" -o APT::Architectures="$2")
}

# read_lists RELEASE ARCHITECTURE [MIRROR]: into $lists, by $keys.
read_lists() {
	rm -rf "$lists"
	mmdebstrap --quiet --variant=custom --skip=check/qemu,cleanup/apt/lists --keyring="$keys" \
		--architectures="$2" "$1" "$lists" ${3:+"$3"} >>"$work/apt.log" 2>&1
}

install_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	[ "$(id -u)" = 0 ] || skip "needs mmdebstrap installed"
	update_lists
	apt-get -q -y --no-install-recommends install mmdebstrap >>"$work/apt.log" 2>&1 ||
		skip "apt-get install mmdebstrap failed, see $work/apt.log"
}

download_ubuntu_keys() {
	local tree=$work/tree.$$
	use_release trixie amd64
	mkdir -p "$tree"
	(cd "$tree" && apt-get "${apt_options[@]}" -q -o APT::Sandbox::User=root download ubuntu-keyring) \
		>>"$work/apt.log" 2>&1 || skip "cannot download ubuntu-keyring, see $work/apt.log"
	dpkg-deb -x "$tree"/*.deb "$tree"
	mv "$tree/usr/share/keyrings" "$work/keys"
	rm -rf "$tree" "$work/lists.$$"
}

# download_closure FOLDER PACKAGE...: packages and all they depend on, as apt
# would install them on an empty system; nothing is installed.
download_closure() {
	local folder=$1
	shift
	mkdir -p "$folder/partial"
	: >"$folder/empty-status"
	[ ${#apt_options[@]} != 0 ] || update_lists
	apt-get "${apt_options[@]}" -q -y --no-install-recommends --download-only -o Debug::NoLocking=1 \
		-o Dir::State::status="$folder/empty-status" -o Dir::Cache::archives="$folder" \
		-o APT::Sandbox::User=root install "$@" >>"$work/apt.log" 2>&1 ||
		skip "cannot download the guest's packages ($*), see $work/apt.log"
}

# download_kernel FOLDER META: the kernel image that the meta package depends on, and what of it
# are packages of their own: its modules; since Linux 7 the image itself.
download_kernel() {
	local image parts
	[ ${#apt_options[@]} != 0 ] || update_lists
	mkdir -p "$1"
	image=$(dependencies "$2" image | head -n 1)
	[ -n "$image" ] || skip "apt knows no kernel package $2"
	mapfile -t parts < <(dependencies "$image" 'base|binary|modules')
	(cd "$1" && apt-get "${apt_options[@]}" -q -o APT::Sandbox::User=root download "$image" "${parts[@]}") \
		>>"$work/apt.log" 2>&1 || skip "cannot download $image, see $work/apt.log"
}

# dependencies PACKAGE NAME|...: what PACKAGE depends on that is called linux-NAME-VERSION.
dependencies() {
	apt-cache "${apt_options[@]}" depends "$1" 2>/dev/null |
		awk -v name="^linux-($2)-[0-9]" '$1 ~ /^[|]?Depends:$/ && $2 ~ name { print $2 }'
}
