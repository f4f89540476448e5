# SPDX-License-Identifier: MIT OR Apache-2.0
"""rsyslogd, with a thread per input, which drops root once it is configured."""

import contextlib
import socket

import harness
import processes
from harness import LIMIT, Row

MESSAGE = "served-by-rsyslogd"


def started_as(*options):
    def daemon(work):
        program = harness.require_program("rsyslogd")
        config, address, log = work / "config", work / "log-socket", work / "messages"
        config.write_text(
            f'global(workDirectory="{work}")\n'
            'module(load="imuxsock" SysSock.Use="off")\n'
            f'input(type="imuxsock" Socket="{address}")\n'
            '$PrivDropToUser nobody\n'
            f'action(type="omfile" file="{log}")\n'
        )

        def request():
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as client:
                client.connect(str(address))
                client.send(f"<13>test: {MESSAGE}".encode())
            arrived = processes.wait_until(lambda: log.exists() and MESSAGE in log.read_text())
            harness.check_equal(arrived, True, "message in the log")

        return harness.Daemon(
            [program, "-f", str(config), "-i", str(work / "pid"), *options],
            ready=address.exists,
            request=request,
        )

    return daemon


ROWS = {
    "limit-foreground": Row(started_as("-n"), LIMIT),
    "limit-daemonised": Row(started_as(), LIMIT),
}

if __name__ == "__main__":
    harness.main(ROWS)
