# SPDX-License-Identifier: MIT OR Apache-2.0
"""read_mapped.py shared|private|writable FILE: every page of it."""

import mmap
import sys

FLAGS = {
    "shared": (mmap.MAP_SHARED, mmap.PROT_READ),
    "private": (mmap.MAP_PRIVATE, mmap.PROT_READ),
    "writable": (mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
}
with open(sys.argv[2], "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0, *FLAGS[sys.argv[1]])
print(len(memory), sum(memory[at] for at in range(0, len(memory), mmap.PAGESIZE)))
