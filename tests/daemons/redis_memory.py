# SPDX-License-Identifier: MIT OR Apache-2.0
"""redis-server gives memory back under the library as it does without."""

import dataclasses
import os
import sys

import harness
import processes
import redis

KEYS = 300_000
BATCH = 10_000
VALUE = b"x" * 1000
MORE = 1.1  # times what is left without the library, of what was not there at the start

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


@dataclasses.dataclass(frozen=True)
class Memory:
    """Of the server, in MiB; its code, which the library makes resident, is in `all` alone."""

    all: float
    anonymous: float

    def __str__(self):
        return f"{self.all:.1f} MiB, {self.anonymous:.1f} without files"


def memory_of(family):
    found = family.processes()
    return Memory(
        sum(process.vm_rss for process in found) / 1024,
        sum(process.rss_anon for process in found) / 1024,
    )


def fill(connection):
    for first in range(0, KEYS, BATCH):
        keys = (b"key:%d" % number for number in range(first, first + BATCH))
        question = b"".join(command(b"SET", key, VALUE) for key in keys)
        ask(connection, question, b"+OK\r\n" * BATCH)


def measure(library, environment):
    """At the start, with all keys, and once they are gone."""
    with harness.work_folder() as work:
        daemon = redis.started_as("no")(work)
        with harness.started(daemon, work, library, environment, harness.LIMIT) as family:
            with harness.connect(work / "redis") as connection:
                empty = memory_of(family)
                fill(connection)
                full = memory_of(family)
                ask(connection, command(b"FLUSHALL"), b"+OK\r\n")

                def purged():
                    ask(connection, command(b"MEMORY", b"PURGE"), b"+OK\r\n")
                    return memory_of(family).anonymous < full.anonymous / 2

                # Its own timer may hold back a part for a moment.
                processes.wait_until(purged)
                return empty, full, memory_of(family)


def kept(memory):
    empty, _, emptied = memory
    return emptied.anonymous - empty.anonymous


def main():
    """`script SETTING`"""
    if len(sys.argv) != 2 or sys.argv[1] not in SETTINGS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(SETTINGS)}")
    harness.stop_on_sigterm()
    harness.require_machine(harness.Row(None, harness.LIMIT))
    library = os.environ.get("DUENDE_MLOCK_LIBRARY")
    if not library:
        sys.exit("DUENDE_MLOCK_LIBRARY must be the path of the preload library")
    without = measure(None, {})
    with_library = measure(library, SETTINGS[sys.argv[1]])
    for name, memory in (("without the library", without), ("with it", with_library)):
        print(name, "at the start: %s; full: %s; once all keys are gone: %s" % memory, sep=", ")
    sys.exit(1 if kept(with_library) > MORE * kept(without) else 0)


if __name__ == "__main__":
    main()
