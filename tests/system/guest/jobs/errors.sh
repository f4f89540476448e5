# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# A store of which the second half is broken: what qemu-io is answered there, without the library
# and with it.  Written through, as an error would come with a later fsync(2) otherwise.
export DM_DISABLE_UDEV=1    # there is none: it makes the node by itself
half=$((32 << 20))
report "beat t=0"

# ask FILE: whole blocks and parts of them, before the border, over it and behind it.  Read first, as
# what could not be written is read back from the page cache as if it had been; on a device that
# remembers no error, by a process that does not either.
ask() {
	printf '0 %d linear /dev/vdb 0\n%d %d error\n' $((half / 512)) $((half / 512)) $((half / 512)) |
		dmsetup create cut || fail "dmsetup"
	for what in read "write -P 7"; do
		for place in "$((half - 4096)) 4096" "$((half - 700)) 700" "$((half - 4096)) 8192" \
			"$((half - 100)) 200" "$half 4096" "$((half + 1000)) 100" "$((half - 300000)) 400000"; do
			echo "$what $place:"
			start sh -c 'exec "$@" >/run/answer 2>&1' ask \
				qemu-io -f raw -t writethrough -c "$what $place" /dev/mapper/cut
			# Neither how long it took, nor the library's words.
			grep -vE ' ops; |^duende-mlock\[' /run/answer
		done
	done >"$1"
	dmsetup remove cut || fail "dmsetup remove"
}

mv /exp/store.so /run/
ask /run/without
mv /run/store.so /exp/
ask /run/with
grep -q 'O_DIRECT, in blocks of' /run/answer || fail "the store is not opened with O_DIRECT"
errors=$(grep -c 'Input/output error' /run/without)
while read -r line; do report "without: $line"; done </run/without
while read -r line; do report "with:    $line"; done </run/with
[ "$errors" -ge 10 ] || fail "only $errors errors: $(tail -n 1 /run/without)"
result=held
cmp -s /run/without /run/with || result=differs
report "RESULT result=$result errors=$errors"
quit
