# SPDX-License-Identifier: MIT OR Apache-2.0
"""A command with all processes that come of it, wherever they daemonise to, and their memory."""

import ctypes
import dataclasses
import os
import pathlib
import resource
import signal
import time
import traceback

PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
CAP_IPC_LOCK = 14
CAP_SYS_RESOURCE = 24

POLL_SECONDS = 0.01
DEADLINE_SECONDS = 20

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, argument):
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def wait_until(condition, seconds=DEADLINE_SECONDS):
    """What `condition` answers, as soon as that is true; otherwise its last, false answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return answer


def _fields(text):
    """The `key: value` lines of a file of /proc."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _kib(fields, key):
    return int(fields.get(key, "0").split()[0])


@dataclasses.dataclass(frozen=True)
class Process:
    """One process as /proc shows it at one moment; sizes in KiB."""

    pid: int
    name: str
    uid: int
    vm_lck: int  # address space that is locked
    vm_rss: int
    rss_anon: int  # of that, what no file is behind
    locked: int  # resident and locked; a shared page counts in parts (smaps_rollup)
    rss: int  # sum of Rss over the mappings
    locked_rss: int  # the same over the locked mappings (VmFlags: lo)
    limit: str  # soft RLIMIT_MEMLOCK: bytes, or `unlimited`
    may_lock: bool  # CAP_IPC_LOCK is effective, or the limit infinite

    @property
    def locked_share(self):
        """Of what is resident, how much is locked. Not from `Locked:`, which divides a page that
        is shared (code, or memory a fork has not copied yet) by its users, as `Rss:` does not."""
        return self.locked_rss / self.rss if self.rss else 0.0


def read_process(pid):
    """None when there is no such process (any more), or only a zombie."""
    proc = pathlib.Path("/proc", str(pid))
    try:
        status = _fields((proc / "status").read_text())
        if "VmRSS" not in status:
            return None
        limit = (proc / "limits").read_text().split("Max locked memory")[1].split()[0]
        rss, locked_rss = _sum_mappings((proc / "smaps").read_text())
        return Process(
            pid=pid,
            name=status["Name"].strip(),
            uid=int(status["Uid"].split()[1]),
            vm_lck=_kib(status, "VmLck"),
            vm_rss=_kib(status, "VmRSS"),
            rss_anon=_kib(status, "RssAnon"),
            locked=_kib(_fields((proc / "smaps_rollup").read_text()), "Locked"),
            rss=rss,
            locked_rss=locked_rss,
            limit=limit,
            may_lock=limit == "unlimited" or has_capability(status, CAP_IPC_LOCK),
        )
    except (FileNotFoundError, ProcessLookupError):
        return None


def has_capability(status, capability):
    return bool(int(status["CapEff"], 16) >> capability & 1)


def own_status():
    return _fields(pathlib.Path("/proc/self/status").read_text())


def _sum_mappings(smaps):
    total = locked = mapping = 0
    for line in smaps.splitlines():
        if line.startswith("Rss:"):
            mapping = int(line.split()[1])
            total += mapping
        elif line.startswith("VmFlags:") and "lo" in line.split():
            locked += mapping
    return total, locked


def _parents():
    """The parent of every process, zombies left out."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state not in "ZX":
            parents[int(entry)] = int(parent)
    return parents


def _descendants():
    """Of this process, oldest generation first."""
    parents = _parents()
    found = [os.getpid()]
    for process in found:
        found += sorted(pid for pid, parent in parents.items() if parent == process)
    return found[1:]


class Family:
    """A command and its descendants. Orphans among them become this process's children, so that
    none is lost and nothing else is ever taken for one: no other children, no other Family."""

    def __init__(self, argv, environment, stderr_path, limit=None):
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.exit_status = None  # of the command itself
        self._command = os.fork()
        if self._command == 0:
            try:
                _become(argv, environment, stderr_path, limit)
            except OSError:
                traceback.print_exc()
            finally:
                os._exit(127)

    def gone(self):
        """Whether no member is left: as long as there is one, this process has a child."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                if ended[0] == self._command:
                    self.exit_status = os.waitstatus_to_exitcode(ended[1])
        except ChildProcessError:
            return True
        return False

    def pids(self):
        """Of all members alive, oldest generation first. Two looks that agree: one alone misses
        a process whose parent ends while /proc is being read."""
        before, members = None, _descendants()
        while members != before:
            before, members = members, _descendants()
        return members

    def processes(self):
        return [process for pid in self.pids() if (process := read_process(pid))]

    def stop(self):
        """Ends all members; those that do not heed SIGTERM by force."""
        for number, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, DEADLINE_SECONDS)):
            self._signal(number)
            if wait_until(self.gone, seconds):
                return

    def _signal(self, number):
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def _become(argv, environment, stderr_path, limit):
    """In the child: the command, its output in a file, under `limit` where one is given."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(stderr_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
        # Root gets by execve what the bounding set has, and with this capability the limit is none.
        prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE)
    os.execvpe(argv[0], argv, environment)
