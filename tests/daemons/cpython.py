# SPDX-License-Identifier: MIT OR Apache-2.0
"""CPython's own tests of what the library touches: each case must end as without the library."""

import contextlib
import os
import subprocess
import sys
import xml.etree.ElementTree

import harness

MODULES = ["test_fork1", "test_subprocess", "test_thread", "test_threading", "test_threadsignals"]
MODULES += ["test_signal", "test_mmap"]
SECONDS = 900  # for one of the two runs
PYTHON = "/usr/bin/python3"  # Debian's, for its tests are those of this interpreter


def require_suite():
    probe = [PYTHON, "-c", "import test.test_mmap"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        harness.skip("the interpreter's own tests are not installed (libpython3-testsuite)")


def outcome(case):
    verdicts = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    return ",".join(verdicts) or "passed"


def start(work, name, library):
    folder = work / name
    folder.mkdir()
    command = [PYTHON, "-m", "test", "--junit-xml", str(folder / "results.xml")]
    command += ["--tempdir", str(folder), "--timeout", str(SECONDS), *MODULES]
    settings = {"DUENDE_MLOCK_LOG": "off"} if library else {}
    return subprocess.Popen(
        command,
        env=harness.environment_with(library, settings),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=(folder / "output").open("wb"),
        stderr=subprocess.STDOUT,
    )


def results(work, name, process):
    folder = work / name
    process.wait(timeout=2 * SECONDS)
    print(f"{name}: exit status {process.returncode}", *last_lines(folder / "output"), sep="\n  ")
    root = xml.etree.ElementTree.parse(folder / "results.xml").getroot()
    return {case.get("name"): outcome(case) for case in root.iter("testcase")}


def last_lines(path):
    return path.read_text(errors="replace").splitlines()[-8:]


def compare(without, with_library):
    differences = [
        f"{case}: {without.get(case, 'not run')} without the library, "
        f"{with_library.get(case, 'not run')} with it"
        for case in sorted(without.keys() | with_library.keys())
        if without.get(case) != with_library.get(case)
    ]
    print(f"{len(without)} cases compared")
    return differences + ([] if "passed" in without.values() else ["no case passed at all"])


def main():
    library = os.environ.get("DUENDE_MLOCK_LIBRARY")
    require_suite()
    harness.stop_on_sigterm()
    with harness.work_folder() as work, contextlib.ExitStack() as cleanup:
        runs = {"without": start(work, "without", None), "with": start(work, "with", library)}
        for process in runs.values():
            cleanup.callback(process.kill)
        found = {name: results(work, name, process) for name, process in runs.items()}
    differences = compare(found["without"], found["with"])
    print(*differences, sep="\n")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
