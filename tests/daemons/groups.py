# SPDX-License-Identifier: MIT OR Apache-2.0
"""A control group with a limit on memory, made for one test, in either version of control groups."""

import contextlib
import os
import pathlib

import processes

MIB = 1024 * 1024
# The limit on memory first, then what keeps the group's memory out of swap.
FILES = {
    "cgroup": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", None),
    "cgroup2": ("memory.max", "memory.swap.max", 0),
}


def _mounts():
    """Version, root and mount point of every hierarchy that may limit memory."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, system = line.partition(" - ")
        kind, _, options = system.split()[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(",")):
            yield kind, mount.split()[3], pathlib.Path(mount.split()[4])


def _own_path(kind):
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (not controllers) if kind == "cgroup2" else ("memory" in controllers.split(",")):
            return path
    return "/"


def _parents():
    """Where a group may be made: below the own one, else below one of its ancestors, for version 2
    wants no processes where controllers are handed on."""
    for kind, root, mount in _mounts():
        own = mount / os.path.relpath(_own_path(kind), root)
        for parent in (own, *own.parents):
            if parent == mount or mount in parent.parents:
                yield kind, parent


def _make(kind, folder, size):
    """Whether the group is there and its limit holds."""
    limit, swap, swap_size = FILES[kind]
    try:
        folder.mkdir()
    except OSError:
        return False
    try:
        (folder / limit).write_text(str(size))
        if (folder / swap).exists():
            (folder / swap).write_text(str(size if swap_size is None else swap_size))
    except OSError:
        folder.rmdir()
        return False
    return True


def _remove(folder):
    def removed():
        try:
            folder.rmdir()
        except OSError:
            return False
        return True

    processes.wait_until(removed)


@contextlib.contextmanager
def limited(mebibytes):
    """The folder of a group of that size, into whose cgroup.procs a process writes 0 to enter; or
    None where nobody here can make one."""
    name = f"duende-mlock-{os.getpid()}"
    for kind, parent in _parents():
        folder = parent / name
        if _make(kind, folder, mebibytes * MIB):
            try:
                yield folder
            finally:
                _remove(folder)
            return
    yield None


def enter(folder):
    (folder / "cgroup.procs").write_text("0")
