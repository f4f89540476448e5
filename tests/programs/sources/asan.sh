# SPDX-License-Identifier: MIT OR Apache-2.0
# asan.sh PROGRAM: its run without a fault, and what matters of one with.
"$1" || exit
"$1" fault >messages 2>&1
echo "exit status $?"
grep -o 'AddressSanitizer: heap-buffer-overflow' messages
