# SPDX-License-Identifier: MIT OR Apache-2.0
"""lighttpd, one process that drops to www-data."""

import harness
from harness import LIMIT, Row


def started_as(*options):
    def daemon(work):
        program = harness.require_program("lighttpd")
        config, address = work / "config", work / "http"
        (work / "index.html").write_text("served\n")
        config.write_text(
            f'server.document-root = "{work}"\nserver.bind = "{address}"\n'
            f'server.pid-file = "{work}/pid"\nserver.errorlog = "{work}/error.log"\n'
            'index-file.names = ("index.html")\n'
            'server.username = "www-data"\nserver.groupname = "www-data"\n'
        )
        return harness.Daemon(
            [program, "-f", str(config), *options],
            ready=harness.listening(address),
            request=harness.answers(address, harness.HTTP_REQUEST, b"HTTP/1.1 200 OK\r\n"),
        )

    return daemon


ROWS = {
    "limit-foreground": Row(started_as("-D"), LIMIT),
    "limit-daemonised": Row(started_as(), LIMIT),
}

if __name__ == "__main__":
    harness.main(ROWS)
