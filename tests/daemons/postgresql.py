# SPDX-License-Identifier: MIT OR Apache-2.0
"""PostgreSQL as an ordinary user: a process for each client, shared memory, pgbench."""

import glob
import os
import subprocess

import harness
from harness import LIMIT, Row

USER = 65534
SECONDS = 120


def program_of(name):
    """Debian has each version in a folder of its own, and a wrapper for some on the PATH."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else harness.require_program(name)


def as_user(*options):
    program = harness.require_program("setpriv")
    identity = [f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    return [program, *identity, *options]


def run(work, *command):
    """As that user, without the library."""
    done = subprocess.run(
        as_user() + list(command),
        env=harness.environment_with(None, {"PGHOST": str(work), "PGUSER": "postgres"}),
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode != 0:
        raise harness.Failed(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def accepting(work):
    """It listens before it does."""

    def ready():
        try:
            run(work, program_of("pg_isready"))
        except harness.Failed:
            return False
        return True

    return ready


def pgbench(work):
    def request():
        program = program_of("pgbench")
        run(work, program, "--initialize", "--quiet", "postgres")
        output = run(work, program, "--client=4", "--transactions=100", "postgres")
        print(output)
        processed = "number of transactions actually processed: 400/400"
        harness.check_equal(processed in output, True, processed)

    return request


def started_as(*options):
    def daemon(work):
        data = work / "data"
        data.mkdir()
        os.chown(data, USER, USER)
        run(work, program_of("initdb"), "--no-sync", "--auth=trust", "-U", "postgres", str(data))
        argv = as_user(*options) + [program_of("postgres"), "-D", str(data), "-k", str(work)]
        argv += ["-h", "", "-c", "shared_buffers=32MB", "-c", "fsync=off"]
        return harness.Daemon(
            argv,
            ready=accepting(work),
            request=pgbench(work),
            processes=None,
        )

    return daemon


MAY_LOCK = started_as("--inh-caps=+ipc_lock", "--ambient-caps=+ipc_lock")

ROWS = {
    "limit-user": Row(started_as("--inh-caps=-all"), LIMIT),
    "limit-user-may-lock": Row(MAY_LOCK, LIMIT),
    "limit-future": Row(MAY_LOCK, LIMIT, environment={"DUENDE_MLOCK_FUTURE": "1"}),
}

if __name__ == "__main__":
    harness.main(ROWS)
