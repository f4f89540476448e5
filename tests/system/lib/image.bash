# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# Root images with the packages installed, as the dependencies' scripts have it, unlike
# those of pieces.bash that are only unpacked.  Uses: work, log, skip, lib/packages.bash.

release=bookworm

# make_image NAME MIB CHANGE PACKAGE...: its path in $root_image.  CHANGE is called with
# the folder that becomes the image.
make_image() {
	local name=$1 mebibytes=$2 change=$3 tree=$work/tree.$$ log=$work/$1-image.log
	shift 3
	root_image=$work/$name-$release-$({ echo "$*"; declare -f "$change" || true; } | cksum | cut -d ' ' -f 1).img
	[ ! -e "$root_image" ] || return 0
	[ "$(id -u)" = 0 ] || skip "making a root image takes root"
	log "preparing the image with $name"
	install_mmdebstrap
	mmdebstrap --quiet --variant=essential --include="$(IFS=, && echo "$*")" \
		"$release" "$tree" >"$log" 2>&1 ||
		skip "mmdebstrap cannot make a root here, see $log"
	rm -rf "${tree:?}"/usr/share/{doc,man,locale} "$tree"/var/{cache,lib/apt}
	mkdir -p "$tree"/{var/cache,exp}
	"$change" "$tree"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$root_image.$$" "${mebibytes}M" >"$log"
	mv "$root_image.$$" "$root_image"
	rm -rf "$tree"
}
