# SPDX-License-Identifier: MIT OR Apache-2.0
"""Prints what a block device answers at its end, and elsewhere: device.py DEVICE."""

import errno
import hashlib
import os
import sys


def answer(name, call, *arguments):
    try:
        result = call(*arguments)
    except OSError as error:
        result = errno.errorcode[error.errno]
    if isinstance(result, bytes):
        result = f"{len(result)} bytes {hashlib.sha256(result).hexdigest()}"
    print(name, result)


def main():
    device = os.open(sys.argv[1], os.O_RDWR)
    end = os.lseek(device, 0, os.SEEK_END)
    places = [(end - 100, 100), (end - 100, 300), (end - 512, 1024), (end - 513, 2000)]
    places += [(end, 10), (end + 5, 10), (end + 5000, 4096), (end - 300000, 400000), (3, 700000)]
    for offset, size in places:
        pattern = bytes((i * 7 + offset) % 256 for i in range(size))
        answer(f"write {size} at {offset - end}:", os.pwrite, device, pattern, offset)
        answer(f"read {size + 500} at {offset - 50 - end}:", os.pread, device, size + 500, offset - 50)
    os.lseek(device, -10, os.SEEK_END)
    for _ in range(2):
        answer("write 30 over the end:", os.write, device, b"x" * 30)
        answer("then at:", os.lseek, device, 0, os.SEEK_CUR)
    answer("read at the end:", os.read, device, 30)
    answer("ftruncate:", os.ftruncate, device, 5)
    answer("posix_fallocate:", os.posix_fallocate, device, 0, 10)
    answer("fsync:", os.fsync, device)
    answer("all of it:", os.pread, device, end, 0)


main()
