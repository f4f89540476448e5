# SPDX-License-Identifier: MIT OR Apache-2.0
"""redis-server gives memory back under the library as it does without."""

import os
import sys

import harness
import redis

KEYS = 300_000
BATCH = 10_000
VALUE = b"x" * 1000
MORE = 1.1  # times what is left without the library

SETTINGS = {
    "default": {},
    "future": {"DUENDE_MLOCK_FUTURE": "1"},
    "populated": {"DUENDE_MLOCK_ONFAULT": "0"},
}


def command(*words):
    parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n" % len(words) + b"".join(parts)


def ask(connection, question, answer):
    connection.sendall(question)
    harness.check_equal(harness.receive(connection, len(answer)), answer, "answer")


def resident(family):
    return sum(process.vm_rss for process in family.processes()) / 1024


def memory_of(library, environment):
    """Of the server, in MiB: with all keys, and once they are gone."""
    with harness.work_folder() as work:
        daemon = redis.started_as("no")(work)
        with harness.started(daemon, work, library, environment, harness.LIMIT) as family:
            with harness.connect(work / "redis") as connection:
                for first in range(0, KEYS, BATCH):
                    keys = (b"key:%d" % number for number in range(first, first + BATCH))
                    question = b"".join(command(b"SET", key, VALUE) for key in keys)
                    ask(connection, question, b"+OK\r\n" * BATCH)
                full = resident(family)
                ask(connection, command(b"FLUSHALL"), b"+OK\r\n")
                ask(connection, command(b"MEMORY", b"PURGE"), b"+OK\r\n")
                return full, resident(family)


def main():
    """`script SETTING`"""
    if len(sys.argv) != 2 or sys.argv[1] not in SETTINGS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(SETTINGS)}")
    harness.stop_on_sigterm()
    harness.require_machine(harness.Row(None, harness.LIMIT))
    library = os.environ["DUENDE_MLOCK_LIBRARY"]
    without = memory_of(None, {})
    with_library = memory_of(library, SETTINGS[sys.argv[1]])
    print("without the library: %.1f MiB, %.1f once all keys are gone" % without)
    print("with the library: %.1f MiB, %.1f once all keys are gone" % with_library)
    sys.exit(1 if with_library[1] > MORE * without[1] else 0)


if __name__ == "__main__":
    main()
