# SPDX-License-Identifier: MIT OR Apache-2.0
# Threads, shared memory and large buffers of everyday tools.
seq 1 200000 | sort -S 32M --parallel=2 -k 1.3 | md5sum
seq 1 200000 >numbers
tar -cf - numbers | gzip | gunzip | tar -tf -
grep -c 7 numbers
split -n 4 numbers && cat x?? | cmp - numbers
find . -name 'x??' | sort | xargs -n 1 -P 2 sh -c 'wc -c <"$0" >"$0.size"'
cat x??.size
dd if=/dev/zero of=zeroes bs=8M count=2 2>/dev/null
md5sum zeroes
openssl dgst -sha256 numbers 2>&1
