# SPDX-License-Identifier: MIT OR Apache-2.0
"""dnsmasq, which gives up capabilities by capset before it drops root, and keeps others."""

import socket
import struct

import harness
import processes
from harness import LIMIT, Row

NAME = b"\x06served\x04test\x00"
ADDRESS = "192.0.2.7"  # of the range for documentation
TYPE_A, CLASS_IN, RECURSION_DESIRED = 1, 1, 0x0100
NO_ERROR = 0


def lookup(port, seconds):
    def request():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(seconds)
            client.connect(("127.0.0.1", port))
            client.send(
                struct.pack(">6H", 1, RECURSION_DESIRED, 1, 0, 0, 0)
                + NAME
                + struct.pack(">2H", TYPE_A, CLASS_IN)
            )
            answer = client.recv(512)
        harness.check_equal(answer[3] & 0xF, NO_ERROR, "response code")
        harness.check_equal(socket.inet_ntoa(answer[-4:]), ADDRESS, "address")

    return request


def started_as(*options):
    def daemon(work):
        program = harness.require_program("dnsmasq")
        port = harness.free_port()

        def ready():
            lookup(port, seconds=0.2)()
            return True

        return harness.Daemon(
            [program, "-C", "/dev/null", f"--port={port}", "--listen-address=127.0.0.1"]
            + ["--bind-interfaces", "--no-resolv", "--no-hosts", "--user=nobody"]
            + [f"--address=/served.test/{ADDRESS}", f"--pid-file={work}/pid", *options],
            ready=ready,
            request=lookup(port, processes.DEADLINE_SECONDS),
        )

    return daemon


ROWS = {
    "limit-foreground": Row(started_as("--keep-in-foreground"), LIMIT),
    "limit-daemonised": Row(started_as(), LIMIT),
}

if __name__ == "__main__":
    harness.main(ROWS)
