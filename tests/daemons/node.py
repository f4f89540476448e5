# SPDX-License-Identifier: MIT OR Apache-2.0
"""A server in Node.js under load, whose engine gives memory back all the time."""

import concurrent.futures
import http.client

import harness
from harness import LIMIT, Row

CLIENTS = 4
REQUESTS = 500  # of each
SERVER = """
'use strict';
const body = 'x'.repeat(1000);
require('http').createServer((request, response) => {{
  const list = Array.from({{ length: 2000 }}, (_, index) => body + index);
  response.end(String(list.length));
}}).listen('{socket}');
"""


class Connection(http.client.HTTPConnection):
    """By a socket in the file system."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = harness.connect(self.path)


def client(path):
    connection = Connection(path)
    good = 0
    for _ in range(REQUESTS):
        connection.request("GET", "/")
        good += connection.getresponse().read() == b"2000"
    return good


def load(path):
    def request():
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            good = sum(pool.map(client, [path] * CLIENTS))
        harness.check_equal(good, CLIENTS * REQUESTS, "good answers")

    return request


def daemon(work):
    path, script = work / "http", work / "server.js"
    script.write_text(SERVER.format(socket=path))
    return harness.Daemon(
        [harness.require_program("node"), str(script)],
        ready=harness.listening(path),
        request=load(path),
        processes=None,
    )


FUTURE = {"DUENDE_MLOCK_FUTURE": "1"}

ROWS = {
    "foreground": Row(daemon),
    "limit-foreground": Row(daemon, LIMIT),
    "limit-future": Row(daemon, LIMIT, environment=FUTURE),
}

if __name__ == "__main__":
    harness.main(ROWS)
