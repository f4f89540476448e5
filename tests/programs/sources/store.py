# SPDX-License-Identifier: MIT OR Apache-2.0
"""store.py write|read FOLDER: a database that LMDB maps as a whole."""

import sys

import lmdb

MIB = 1024 * 1024
COUNT = 300

store = lmdb.open(sys.argv[2], map_size=1024 * MIB, sync=False, mode=0o666)
if sys.argv[1] == "write":
    for number in range(COUNT):
        with store.begin(write=True) as transaction:
            transaction.put(b"%06d" % number, bytes([number % 251]) * (MIB - 100))
    store.sync(True)
else:
    with store.begin() as transaction:
        print(sum(value[0] + value[MIB // 2] for _, value in transaction.cursor()))
    with store.begin(write=True) as transaction:
        transaction.put(b"000001", bytes([1]) * (MIB - 100))
