# SPDX-License-Identifier: MIT OR Apache-2.0
"""A program run without and with the library, as different users, under different limits: what it
writes and how it ends must be the same."""

import contextlib
import dataclasses
import difflib
import os
import pathlib
import resource
import shutil
import signal
import subprocess

import groups
import harness
import processes

PREFIX = b"duende-mlock["
AS_TOLD = b"; the limit binds: "  # an explicit FUTURE=1: allocations may then fail
USER = 65534
GROUP_MIB = 128
SECONDS = 120
SHOWN = 6  # lines of what differs

SETTINGS = {
    "default": {},
    "future": {"DUENDE_MLOCK_FUTURE": "1"},
    "populated": {"DUENDE_MLOCK_ONFAULT": "0"},
}
PLACES = ("root", "user", "group")


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one run."""

    status: str
    out: bytes
    err: bytes

    @property
    def own_lines(self):
        return [line for line in self.err.splitlines(keepends=True) if line.startswith(PREFIX)]

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


def run(argv, work, environment, place="root", group=None):
    """Output that a left-over child still holds is not waited for beyond the deadline."""
    with (work / "out").open("w+b") as out, (work / "err").open("w+b") as err:
        process = subprocess.Popen(
            argv,
            env=base_environment(work) | environment,
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
    if with_library.out != without.out:
        found.append("its output differs:" + changes(without.out, with_library.out))
    if with_library.without_own_lines() != without.err:
        changed = changes(without.err, with_library.without_own_lines())
        found.append("its stderr differs:" + changed)
    if len(with_library.own_lines) > 1:
        lines = b"".join(with_library.own_lines[:3])
        found.append(f"{len(with_library.own_lines)} lines of the library, not one: {lines!r}")
    return "; ".join(found)


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
