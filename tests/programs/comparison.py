# SPDX-License-Identifier: MIT OR Apache-2.0
"""A program run without and with the library, as different users, under different limits: what it
writes and how it ends must be the same."""

import collections
import contextlib
import dataclasses
import difflib
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time

import groups
import harness
import processes

PREFIX = b"duende-mlock["
UNLOCKED = re.compile(rb"duende-mlock\[\d+\] \S+: not locked: [^'\n]*\n?")
LIMITED = b"RLIMIT_MEMLOCK"  # in the line that says so; with FUTURE=1 allocations may then fail
USER = 65534
GROUP_MIB = 128
SECONDS = 120
# What the program itself says, and what its forked children say where they fare worse than it.
MOST_LINES = 2
SHOWN = 6  # lines of what differs

SETTINGS = {
    "default": {},
    "future": {"DUENDE_MLOCK_FUTURE": "1"},
    "populated": {"DUENDE_MLOCK_ONFAULT": "0"},
}
PLACES = ("root", "user", "group")


@dataclasses.dataclass(frozen=True)
class Command:
    """What is run, with what is added to an environment that is the same for all."""

    argv: list
    environment: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one run."""

    status: str
    out: bytes
    err: bytes

    @property
    def own_lines(self):
        return [line for line in self.err.splitlines(keepends=True) if line.startswith(PREFIX)]

    def said(self):
        """How often each thing was said, whatever the process and the numbers."""
        things = (line.split(b": ", 1)[1] for line in self.news())
        return collections.Counter(re.sub(rb"[0-9]+", b"#", thing) for thing in things)

    def news(self):
        """Its lines but those of what could not be locked, unlike the program that started it."""
        return [line for line in self.own_lines if not UNLOCKED.search(line)]

    def output(self):
        """Scripts capture stderr, too."""
        return UNLOCKED.sub(b"", self.out)

    def without_own_lines(self):
        lines = self.err.splitlines(keepends=True)
        return b"".join(line for line in lines if not line.startswith(PREFIX))


def status_of(code):
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def become_user():
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)


def entering(place, group):
    """What a process does before it becomes the program. Everywhere under the kernel's default
    limit, which nothing raises, so that every machine tests the same."""

    def enter():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (harness.LIMIT, harness.LIMIT))
        processes.prctl(processes.PR_CAPBSET_DROP, processes.CAP_SYS_RESOURCE)
        if group:
            groups.enter(group)
        if place == "user":
            become_user()

    return enter


def base_environment(work):
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(work / "run"),
        "TMPDIR": str(work / "run"),
        "LANG": "C.UTF-8",
    }


def clear_run_folder(work):
    """Everything that a run may have left, so that each finds the same."""
    run = work / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    run.chmod(0o777)
    return run


def run(command, work, place="root", group=None):
    with (work / "out").open("w+b") as out, (work / "err").open("w+b") as err:
        process = subprocess.Popen(
            command.argv,
            env=base_environment(work) | command.environment,
            cwd=clear_run_folder(work),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=entering(place, group),
        )
        try:
            status = status_of(process.wait(timeout=SECONDS))
        except subprocess.TimeoutExpired:
            status = f"still runs after {SECONDS} s"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Result(status, (work / "out").read_bytes(), (work / "err").read_bytes())


def changes(before, after):
    lines = [text.decode(errors="replace").splitlines() for text in (before, after)]
    changed = [
        line[:200]
        for line in difflib.unified_diff(*lines, n=0, lineterm="")
        if line[:3] not in ("---", "+++") and line[0] != "@"
    ]
    return "".join(f"\n    {line}" for line in changed[:SHOWN])


def difference(without, with_library):
    """What a user of the program would notice, or nothing."""
    found = []
    if with_library.status != without.status:
        found.append(f"{with_library.status}, not {without.status}")
    if with_library.output() != without.out:
        found.append("its output differs:" + changes(without.out, with_library.output()))
    if with_library.without_own_lines() != without.err:
        changed = changes(without.err, with_library.without_own_lines())
        found.append("its stderr differs:" + changed)
    if said_again := [text for text, times in with_library.said().items() if times > 1]:
        found.append(f"the library says again and again {said_again}")
    if len(with_library.news()) > MOST_LINES:
        lines = b"".join(with_library.news()[: MOST_LINES + 1])
        found.append(f"{len(with_library.news())} lines of the library: {lines!r}")
    return "; ".join(found)


def drop_from_cache(path):
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def group_for(place, mebibytes):
    if place != "group":
        yield None
        return
    with groups.limited(mebibytes) as group:
        if not group:
            print("left out: no control group with a limit on memory can be made here")
        yield group


class Comparison:
    """Runs a command without the library, and in several ways with it; counts what differs. The
    files in `cold` are read anew by each run, so that they count for its control group."""

    def __init__(self, work, cold=(), mebibytes=GROUP_MIB):
        self.work, self.cold, self.mebibytes = work, cold, mebibytes
        self.problems = 0

    def run(self, command, place, group):
        for path in self.cold:
            drop_from_cache(path)
        return run(command, self.work, place, group)

    def compare(self, place, without, ways):
        """`ways`: the commands with the library, by name."""
        begin = time.monotonic()
        with group_for(place, self.mebibytes) as group:
            if place == "group" and not group:
                return
            reference = self.run(without, place, group)
            print(f"{place}: {reference.status}, {reference.out[-60:]!r}, {reference.err[-60:]!r}")
            if reference.status != "exit status 0":
                self.fail(place, "without the library", f"{reference.status}: {reference.err!r}")
                return
            for name, command in ways.items():
                self.judge(place, name, reference, self.run(command, place, group))
        print(f"{place}: {len(ways)} compared, {time.monotonic() - begin:.1f} s")

    def judge(self, place, name, reference, result):
        problem = difference(reference, result)
        told = any(LIMITED in line for line in result.out.splitlines() + result.own_lines)
        if problem and "future" in name and place == "user" and told:
            print(f"{place}, {name}: as told, under a limit that binds: {problem}")
        elif problem:
            self.fail(place, name, problem)

    def fail(self, place, name, problem):
        print(f"FAILED {place}, {name}: {problem}")
        self.problems += 1


def expanded(command, folders):
    """Its words, with the names of folders filled in, if the program is there."""
    argv = [word.format(**folders) for word in shlex.split(command)]
    if not os.path.isabs(argv[0]):
        argv[0] = harness.require_program(argv[0])
    elif not os.path.exists(argv[0]):
        harness.skip(f"{argv[0]} is not installed (scripts/setup programs)")
    return argv


def build(commands, folders):
    """What the sources are compiled to."""
    cache = {"GOCACHE": f"{folders['work']}/cache"}
    for command in commands:
        argv = expanded(command, folders)
        subprocess.run(argv, env=os.environ | cache, stdout=sys.stderr, check=True)


@contextlib.contextmanager
def prepared(library):
    """Folders, with the library in them, that are open to every user."""
    with harness.work_folder() as work:
        yield {
            "work": work,
            "sources": staged_sources(work),
            "library": staged(library, work),
        }


def main(rows, check):
    """`script ROW`: check(row, library) says how many problems there are."""
    if len(sys.argv) != 2 or sys.argv[1] not in rows:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(rows)}")
    library = os.environ.get("DUENDE_MLOCK_LIBRARY")
    if not library:
        sys.exit("DUENDE_MLOCK_LIBRARY must be the path of the preload library")
    harness.stop_on_sigterm()
    require_root()
    sys.exit(1 if check(rows[sys.argv[1]], library) else 0)


def require_root():
    if os.geteuid() != 0 or not processes.has_capability(
        processes.own_status(), processes.CAP_IPC_LOCK
    ):
        harness.skip("needs root with CAP_IPC_LOCK")


def staged(library, work):
    """The library where every user can load it; a build folder may well be closed."""
    copy = work / "preload.so"
    shutil.copyfile(library, copy)
    copy.chmod(0o755)
    return str(copy)


def staged_sources(work):
    """The same of the programs' sources."""
    copy = work / "sources"
    shutil.copytree(pathlib.Path(__file__).parent / "sources", copy)
    copy.chmod(0o755)
    return copy
