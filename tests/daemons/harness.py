# SPDX-License-Identifier: MIT OR Apache-2.0
"""What every test of a daemon does: start it under the library, use it, look at its processes."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable

import processes

SKIP = 77
LIMIT = 8 * 1024 * 1024  # the kernel's default, and all that Kubernetes can give
COVERED = 0.99  # of what is resident must be locked
HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n"


class Failed(Exception):
    """A check did not hold."""


@dataclasses.dataclass(frozen=True)
class Daemon:
    """How a daemon is started and used; everything it writes stays in its work folder."""

    argv: list
    ready: Callable[[], bool]  # false, or OSError, until it serves
    request: Callable  # uses it; a connection that is returned stays open while it is looked at
    processes: int | None = 1  # as many it has, once used; None: whose memory is not looked at


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to start a daemon, and what is expected of it besides that it serves."""

    daemon: Callable[[pathlib.Path], Daemon]
    limit: int | None = None  # RLIMIT_MEMLOCK, not to be raised; None: as found
    environment: dict = dataclasses.field(default_factory=dict)
    forked_after_drop: int = 0  # so many processes, the youngest, may be unlocked
    heard: bool = True  # these have a stderr, on which to say why
    rss_mib: Callable[[float], bool] | None = None  # of its largest process, before any request


def skip(precondition):
    print(f"skipped: {precondition}")
    sys.exit(SKIP)


def require_program(name):
    """Its path; daemons are often not on an ordinary user's PATH."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(name, path=path) or skip(f"{name} is not installed (scripts/setup daemons)")


def environment_with(library, extra):
    clean = {
        name: value
        for name, value in os.environ.items()
        if name != "LD_PRELOAD" and not name.startswith("DUENDE_MLOCK_")
    }
    return clean | ({"LD_PRELOAD": library} if library else {}) | extra


@contextlib.contextmanager
def work_folder():
    """Open to the users that daemons drop to."""
    with tempfile.TemporaryDirectory(prefix="duende-mlock-") as name:
        os.chmod(name, 0o777)
        yield pathlib.Path(name)


@contextlib.contextmanager
def started(daemon, work, library, environment, limit=None):
    """The daemon's Family, ready; what it writes to its output goes to work/output."""
    family = processes.Family(
        daemon.argv, environment_with(library, environment), work / "output", limit
    )
    try:
        wait_ready(daemon, family)
        yield family
    finally:
        family.stop()


def wait_ready(daemon, family):
    def ready_or_gone():
        try:
            return family.gone() or daemon.ready()
        except OSError:
            return False

    if not processes.wait_until(ready_or_gone):
        raise Failed("it runs, but does not serve")
    if family.gone():
        raise ended(family)


def ended(family):
    status = family.exit_status
    return Failed(
        f"it ended, killed by {signal.Signals(-status).name}"
        if status < 0
        else f"it ended, with exit status {status}"
    )


def connect(path):
    """A daemon that does not answer does not hang the test."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(processes.DEADLINE_SECONDS)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def free_port():
    """Of 127.0.0.1, for TCP and UDP; nobody else is likely to take it in between."""
    with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        stream.bind(("127.0.0.1", 0))
        port = stream.getsockname()[1]
        datagram.bind(("127.0.0.1", port))
        return port


def answers(path, question, beginning):
    """A request that sends bytes and expects an answer with this beginning."""

    def request():
        connection = connect(path)
        connection.sendall(question)
        check_equal(receive(connection, len(beginning)), beginning, "answer")
        return connection

    return request


def receive(connection, size):
    data = b""
    while len(data) < size and (part := connection.recv(size - len(data))):
        data += part
    return data


def listening(path):
    """Asked of the kernel, for some daemons serve one connection and end."""
    accepting = "00010000"  # __SO_ACCEPTCON in the column of flags

    def ready():
        sockets = pathlib.Path("/proc/net/unix").read_text().splitlines()
        return any(line.endswith(f" {path}") and line.split()[3] == accepting for line in sockets)

    return ready


def connectable(port):
    """Of a server that does not mind a connection without a request."""

    def ready():
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    return ready


def check_equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: {found!r}, not {wanted!r}")


def said_why(process, output):
    mark = f"duende-mlock[{process.pid}] "
    return any(mark in line and "not locked" in line for line in output.splitlines())


def problem_of(process, row, may_be_unlocked, output):
    """What is wrong with one process, or nothing."""
    if row.limit is not None and process.limit != str(row.limit):
        return f"its memlock limit is {process.limit}, not {row.limit}"
    if process.vm_lck == 0:
        if not may_be_unlocked or process.may_lock:
            return "not locked"
        silent = row.heard and not said_why(process, output)
        return "not locked, and does not say why" if silent else ""
    if process.may_lock and process.locked_share < COVERED:
        return f"only {process.locked_share:.1%} of what is resident is locked"
    return ""


def problems_of(found, row, output):
    first_after_drop = len(found) - row.forked_after_drop
    return [
        f"{process.name}[{process.pid}]: {problem}"
        for position, process in enumerate(found)
        if (problem := problem_of(process, row, position >= first_after_drop, output))
    ]


def check_processes(row, family, wanted, output):
    """Every process, once there are as many as wanted: the last worker may just be starting, or
    still be in the handler that locks it."""
    found, problems = [], []

    def all_well():
        found[:] = family.processes()
        problems[:] = problems_of(found, row, output.read_text(errors="replace"))
        return len(found) == wanted and not problems

    well = processes.wait_until(all_well, seconds=5)
    for process in found:
        print(
            f"{process.name}[{process.pid}] uid {process.uid}: VmLck {process.vm_lck} KiB, "
            f"VmRSS {process.vm_rss} KiB, of that locked {process.locked_share:.1%}"
        )
    if not well:
        raise Failed("; ".join(problems) or f"{len(found)} processes, not {wanted}")


def check_resident(row, family):
    largest = max(process.vm_rss for process in family.processes()) / 1024
    print(f"before the first request: {largest:.1f} MiB resident")
    if not row.rss_mib(largest):
        raise Failed(f"{largest:.1f} MiB resident before the first request")


def run_row(row, library):
    with work_folder() as work:
        daemon = row.daemon(work)
        output = work / "output"
        try:
            # What is looked at whole asks for future locks, which a finite limit leaves out.
            future = {} if daemon.processes is None else {"DUENDE_MLOCK_FUTURE": "1"}
            environment = future | row.environment
            with started(daemon, work, library, environment, row.limit) as family:
                if row.rss_mib:
                    check_resident(row, family)
                with daemon.request() or contextlib.nullcontext():
                    if daemon.processes is not None:
                        check_processes(row, family, daemon.processes, output)
        finally:
            if output.exists():
                print("output:", output.read_text(errors="replace"), sep="\n")


def stop_on_sigterm():
    """By an exception, so that what was started ends with it."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def require_machine(row):
    status = processes.own_status()
    if os.geteuid() != 0 or not processes.has_capability(status, processes.CAP_IPC_LOCK):
        skip("needs root with CAP_IPC_LOCK")
    if row.limit is not None:
        hard = processes.resource.getrlimit(processes.resource.RLIMIT_MEMLOCK)[1]
        raisable = processes.has_capability(status, processes.CAP_SYS_RESOURCE)
        if 0 <= hard < row.limit and not raisable:
            skip(f"needs a hard RLIMIT_MEMLOCK of at least {row.limit} bytes")


def dropping_root(started_as):
    """Rows of a daemon that drops root: in the foreground, and with -d, which forks after that."""
    return {
        "limit-foreground": Row(started_as(), LIMIT),
        "limit-daemonised": Row(started_as("-d"), LIMIT, forked_after_drop=1),
    }


def main(rows):
    """`script ROW`: one row of the table; exit status 0, 1 or, for a skip, 77."""
    if len(sys.argv) != 2 or sys.argv[1] not in rows:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(rows)}")
    library = os.environ.get("DUENDE_MLOCK_LIBRARY")
    if not library:
        sys.exit("DUENDE_MLOCK_LIBRARY must be the path of the preload library")
    row = rows[sys.argv[1]]
    stop_on_sigterm()
    require_machine(row)
    try:
        run_row(row, library)
    except (Failed, OSError) as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
