# SPDX-License-Identifier: MIT OR Apache-2.0
"""redis-server, with its own background threads."""

import harness
from harness import LIMIT, Row


def started_as(daemonize):
    def daemon(work):
        program = harness.require_program("redis-server")
        redis_socket = work / "redis"
        return harness.Daemon(
            [program, "--port", "0", "--unixsocket", str(redis_socket), "--save", ""]
            + ["--dir", str(work), "--pidfile", str(work / "pid"), "--daemonize", daemonize],
            ready=harness.listening(redis_socket),
            request=harness.answers(redis_socket, b"PING\r\n", b"+PONG\r\n"),
        )

    return daemon


ROWS = {
    "daemonised": Row(started_as("yes")),
    "limit-foreground": Row(started_as("no"), LIMIT),
    "limit-daemonised": Row(started_as("yes"), LIMIT),
}

if __name__ == "__main__":
    harness.main(ROWS)
