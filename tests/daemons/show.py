# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs a daemon without and with the library, and prints what each of its processes has locked."""

import os
import shlex
import shutil
import sys
import time

import harness
import nginx
import nbdkit
import processes

PREFIX = "DUENDE_MLOCK_"
SETTLED_SECONDS = 0.5  # without a change in its processes, when nothing else tells
EXAMPLES = {
    "nbdkit, as a daemon": nbdkit.DAEMONISED,
    "nginx, as a daemon with a forked worker": nginx.started_as("on", workers=1),
}
COLUMNS = "  {:<20} {:>9}  {:<15} {:>11} {:>11} {:>11} {:>7}"
LEGEND = """
VmLck   address space that is locked (/proc/PID/status)
VmRSS   memory that is resident
Locked  resident memory that is locked; what several processes share is divided among them
        (/proc/PID/smaps_rollup)
of RSS  locked part of what is resident, shared or not (/proc/PID/smaps)
"""


def mebibytes(kib):
    return f"{kib / 1024:.1f} MiB"


def print_rows(title, found):
    for process in found:
        sizes = map(mebibytes, (process.vm_lck, process.vm_rss, process.locked))
        share = f"{process.locked_share:.1%}"
        print(COLUMNS.format(title, process.pid, process.name, *sizes, share))
        title = ""


def print_lines(output, everything):
    """The library's own; the command's as well where that says why there is nothing to see."""
    for line in output.read_text(errors="replace").splitlines():
        if everything or line.lstrip("<0123456789>").startswith("duende-mlock["):
            print(f"  {line}")


def settled(family):
    """All processes, once they have not changed for a moment."""
    last, since = None, time.monotonic()

    def calm():
        nonlocal last, since
        now = family.pids()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= SETTLED_SECONDS

    processes.wait_until(calm)
    return family.processes()


def show_once(title, make, library, settings):
    with harness.work_folder() as work:
        found = []
        try:
            with harness.started(make(work), work, library, settings) as family:
                found = settled(family)
                if family.gone():
                    raise harness.ended(family)
                print_rows(title, found)
        except harness.Failed as failure:
            print(f"  {title:<20} {failure}")
        print_lines(work / "output", everything=not found)


def show(name, make, library, settings):
    print(f"\n{name}")
    print(COLUMNS.format("", "PID", "NAME", "VmLck", "VmRSS", "Locked", "of RSS"))
    show_once("without the library", make, None, {})
    show_once("with the library", make, library, settings)


def command(argv):
    """Any command: nobody knows when it is ready, so only its processes tell."""

    def make(_work):
        return harness.Daemon(argv, ready=lambda: True, request=lambda: None)

    return make


def main():
    library = os.environ.pop("DUENDE_MLOCK_LIBRARY")
    settings = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    harness.stop_on_sigterm()
    argv = sys.argv[1:]
    if argv and not shutil.which(argv[0]):
        sys.exit(f"demo: {argv[0]}: command not found")
    examples = {shlex.join(argv): command(argv)} if argv else EXAMPLES
    for name, make in examples.items():
        show(name, make, library, settings)
    print(LEGEND, end="")


if __name__ == "__main__":
    main()
