# SPDX-License-Identifier: MIT OR Apache-2.0
"""nbdkit, the commonest user-space server of swap, with its memory plugin."""

import harness
import nbd
from harness import LIMIT, Row


def started_as(*options):
    def daemon(work):
        nbd_socket, pidfile = work / "nbd", work / "pid"
        program = harness.require_program("nbdkit")
        argv = [program, "-U", str(nbd_socket), "-P", str(pidfile), *options, "memory", "128M"]
        # Not by a connection: what is resident before the first one is part of what is tested.
        return harness.Daemon(argv, ready=pidfile.exists, request=nbd.read_block(nbd_socket))

    return daemon


FOREGROUND = started_as("-f")
DAEMONISED = started_as()

ROWS = {
    "foreground": Row(FOREGROUND),
    "daemonised": Row(DAEMONISED),
    # Locks itself, and loses that lock when it forks.
    "swap": Row(started_as("--swap")),
    "small": Row(FOREGROUND, rss_mib=lambda mib: mib < 16),
    "populated": Row(
        FOREGROUND, environment={"DUENDE_MLOCK_ONFAULT": "0"}, rss_mib=lambda mib: mib > 200
    ),
    "limit-foreground": Row(FOREGROUND, LIMIT),
    "limit-daemonised": Row(DAEMONISED, LIMIT),
    "limit-drop-foreground": Row(started_as("-f", "-u", "nobody"), LIMIT),
    # Drops root, then forks.
    "limit-drop-daemonised": Row(started_as("-u", "nobody"), LIMIT, forked_after_drop=1),
}

if __name__ == "__main__":
    harness.main(ROWS)
