# SPDX-License-Identifier: MIT OR Apache-2.0
"""memcached, which drops root before it allocates its memory and starts its threads."""

import harness


def started_as(*options):
    def daemon(work):
        program = harness.require_program("memcached")
        address = work / "memcached"
        return harness.Daemon(
            [program, "-u", "nobody", "-s", str(address), *options],
            ready=harness.listening(address),
            request=harness.answers(
                address,
                b"set key 0 0 5\r\nvalue\r\nget key\r\n",
                b"STORED\r\nVALUE key 0 5\r\nvalue\r\n",
            ),
        )

    return daemon


ROWS = harness.dropping_root(started_as)

if __name__ == "__main__":
    harness.main(ROWS)
