# SPDX-License-Identifier: MIT OR Apache-2.0
"""nbd-server, which forks a child for each connection: the process that serves the swap."""

import harness
import nbd
from harness import LIMIT, Row


def started_as(generic="", *options):
    def daemon(work):
        program = harness.require_program("nbd-server")
        nbd_socket, store, config = work / "nbd", work / "store", work / "config"
        store.write_bytes(bytes(1024 * 1024))
        store.chmod(0o666)
        config.write_text(
            f"[generic]\nunixsock = {nbd_socket}\nlistenaddr = 127.0.0.1\n"
            f"port = {harness.free_port()}\n{generic}\n[store]\nexportname = {store}\n"
        )
        return harness.Daemon(
            [program, "-C", str(config), "-p", str(work / "pid"), *options],
            ready=harness.listening(nbd_socket),
            request=nbd.read_block(nbd_socket, "store"),
            processes=1 if "-d" in options else 2,
        )

    return daemon


DAEMONISED = started_as()

ROWS = {
    "daemonised": Row(DAEMONISED),
    "limit-foreground": Row(started_as("", "-d"), LIMIT),
    "limit-daemonised": Row(DAEMONISED, LIMIT),
    # Drops root, then forks for the connection, long after it has closed its stderr.
    "limit-drop-daemonised": Row(
        started_as("user = nobody"), LIMIT, forked_after_drop=1, heard=False
    ),
}

if __name__ == "__main__":
    harness.main(ROWS)
