# SPDX-License-Identifier: MIT OR Apache-2.0
"""nginx: a master that stays root, and workers it forks, which drop to www-data."""

import harness
from harness import LIMIT, Row


def configuration(work, daemon, workers):
    folders = "\n".join(
        f"{kind}_temp_path {work}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
user www-data;
daemon {daemon};
worker_processes {workers};
pid {work}/pid;
error_log {work}/error.log;
events {{}}
http {{
    access_log off;
    {folders}
    server {{
        listen unix:{work}/http;
        return 200 "served\\n";
    }}
}}
"""


def started_as(daemon, workers=2):
    def make(work):
        config = work / "nginx.conf"
        config.write_text(configuration(work, daemon, workers))
        program = harness.require_program("nginx")
        return harness.Daemon(
            [program, "-p", str(work), "-c", str(config), "-e", str(work / "error.log")],
            ready=harness.listening(work / "http"),
            request=harness.answers(work / "http", harness.HTTP_REQUEST, b"HTTP/1.1 200 OK\r\n"),
            processes=1 + workers,
        )

    return make


FOREGROUND = started_as("off")
DAEMONISED = started_as("on")

ROWS = {
    "foreground": Row(FOREGROUND),
    "daemonised": Row(DAEMONISED),
    "limit-foreground": Row(FOREGROUND, LIMIT),
    "limit-daemonised": Row(DAEMONISED, LIMIT),
}

if __name__ == "__main__":
    harness.main(ROWS)
