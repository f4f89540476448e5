# SPDX-License-Identifier: MIT OR Apache-2.0
"""Advice on memory by Python's own call: what it answers, and what is there afterwards."""

import mmap
import os

SIZE = 64 * mmap.PAGESIZE
ADVICE = ["MADV_DONTNEED", "MADV_FREE", "MADV_COLD", "MADV_PAGEOUT", "MADV_REMOVE", "MADV_NORMAL"]
ADVICE += ["MADV_WILLNEED", "MADV_SEQUENTIAL", "MADV_RANDOM", "MADV_HUGEPAGE", "MADV_DONTFORK"]


def answer(memory, name, length):
    # Of 5.4, which this Python does not name.
    number = getattr(mmap, name, {"MADV_COLD": 20, "MADV_PAGEOUT": 21}.get(name))
    try:
        memory.madvise(number, 0, length)
    except (OSError, TypeError) as error:
        return type(error).__name__
    return "ok"


def anonymous(flags):
    memory = mmap.mmap(-1, SIZE, flags | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * SIZE)
    return memory


def of_file(flags, protection):
    with open("file", "w+b") as file:
        file.write(b"f" * SIZE)
        file.flush()
        memory = mmap.mmap(file.fileno(), SIZE, flags, protection)
    if protection & mmap.PROT_WRITE:
        memory.write(b"x" * SIZE)
    return memory


def content(name, memory):
    """Pages that MADV_FREE was told of are zero or as they were, whatever the kernel likes."""
    return "" if name == "MADV_FREE" else memory[0:1] + memory[SIZE - 1 : SIZE]


def main():
    both = mmap.PROT_READ | mmap.PROT_WRITE
    for name in ADVICE:
        for kind, make in {
            "private": lambda: anonymous(mmap.MAP_PRIVATE),
            "shared": lambda: anonymous(mmap.MAP_SHARED),
            "private file": lambda: of_file(mmap.MAP_PRIVATE, both),
            "shared file": lambda: of_file(mmap.MAP_SHARED, both),
            "constant file": lambda: of_file(mmap.MAP_PRIVATE, mmap.PROT_READ),
        }.items():
            memory = make()
            print(name, kind, answer(memory, name, SIZE), content(name, memory))
    os.unlink("file")


main()
