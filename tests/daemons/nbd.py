# SPDX-License-Identifier: MIT OR Apache-2.0
"""A client of the NBD protocol, as small as one block read needs: negotiate, read, stay open."""

import struct

import harness

OPT_EXPORT_NAME = 1
FLAG_FIXED_NEWSTYLE = 1
FLAG_NO_ZEROES = 2
REQUEST_MAGIC = 0x25609513
REPLY_MAGIC = 0x67446698
READ = 0
HANDLE = 0x6475656E6465
BLOCK = 4096


def read_block(path, export=""):
    """A request that reads the first block of an export, and leaves the connection open."""

    def request():
        connection = harness.connect(path)
        harness.check_equal(harness.receive(connection, 16), b"NBDMAGICIHAVEOPT", "greeting")
        harness.receive(connection, 2)
        name = export.encode()
        connection.sendall(
            struct.pack(">I", FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES)
            + struct.pack(">8sII", b"IHAVEOPT", OPT_EXPORT_NAME, len(name))
            + name
        )
        harness.check_equal(len(harness.receive(connection, 10)), 10, "bytes of description")
        connection.sendall(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, READ, HANDLE, 0, BLOCK))
        reply = struct.unpack(">IIQ", harness.receive(connection, 16))
        harness.check_equal(reply, (REPLY_MAGIC, 0, HANDLE), "reply to a read")
        harness.check_equal(len(harness.receive(connection, BLOCK)), BLOCK, "bytes read")
        return connection

    return request
