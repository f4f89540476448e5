# SPDX-License-Identifier: MIT OR Apache-2.0
"""More files than a control group has memory for: mapped and read, or as a program's own code.
`confined.py NAME` runs one row."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

import comparison
import harness

PYTHON = "/usr/bin/python3"
MIB = 1024 * 1024
FILE_MIB = 400
LARGE_LIBRARY = 8 * MIB
SETTINGS = ("default", "future")


@dataclasses.dataclass(frozen=True)
class Row:
    """`{data}` stands for a file of 400 MiB, `{store}` for a database."""

    command: str
    mebibytes: int = 128
    build: tuple = ()
    own_libraries: bool = False  # a copy of those, which no other process has in memory
    outside: bool = False  # locked by `duende-mlock run`


def mapped(kind):
    return Row(PYTHON + " {sources}/read_mapped.py " + kind + " {data}")


ROWS = {
    "file-shared": mapped("shared"),
    "file-private": mapped("private"),
    "file-writable": mapped("writable"),
    "lmdb": Row(
        PYTHON + " {sources}/store.py read {store}",
        build=(PYTHON + " {sources}/store.py write {store}",),
    ),
    "static-64": Row(
        "{work}/much_code",
        64,
        build=("cc -static -O1 -o {work}/much_code {sources}/much_code.c",),
        outside=True,
    ),
    "clang-64": Row("clang --version", 64, own_libraries=True),
    "clang-96": Row("clang --version", 96, own_libraries=True),
    "clang-128": Row("clang --version", 128, own_libraries=True),
}


def require_disk(work):
    command = ["stat", "--file-system", "--format=%T", str(work)]
    kind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        harness.skip(f"{work} is on no disk (TMPDIR=/var/tmp may be)")


def require_command(row):
    if row.outside and "DUENDE_MLOCK_COMMAND" not in os.environ:
        harness.skip("the command is not built (meson setup -Dcommand=enabled)")


def require_lmdb(row):
    probe = [PYTHON, "-c", "import lmdb"]
    if row.build and subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        harness.skip("python3-lmdb is not installed (scripts/setup programs)")


def copied_libraries(program, folder):
    folder.mkdir()
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in (pathlib.Path(word) for word in listed.split() if word.startswith("/")):
        if path.stat().st_size > LARGE_LIBRARY:
            shutil.copyfile(path, folder / path.name)
    return {"LD_LIBRARY_PATH": str(folder)}


def prepare(row, folders):
    work = folders["work"]
    folders |= {"data": work / "data", "store": work / "store"}
    folders["data"].touch()
    with folders["data"].open("r+b") as data:
        data.truncate(FILE_MIB * MIB)
    folders["store"].mkdir()
    comparison.build(row.build, folders)


def check(row, library):
    require_lmdb(row)
    require_command(row)
    with comparison.prepared(library) as folders:
        require_disk(folders["work"])
        prepare(row, folders)
        argv = comparison.expanded(row.command, folders)
        own = folders["work"] / "libraries"
        variables = copied_libraries(argv[0], own) if row.own_libraries else {}
        cold = [path for path in folders["work"].rglob("*") if path.stat().st_size > MIB]
        found = comparison.Comparison(folders["work"], cold, row.mebibytes)
        preload = {} if row.outside else {"LD_PRELOAD": folders["library"]}
        ways = {
            setting: comparison.Command(
                [os.environ["DUENDE_MLOCK_COMMAND"], "run", *argv] if row.outside else argv,
                preload | variables | comparison.SETTINGS[setting],
            )
            for setting in SETTINGS
        }
        found.compare("group", comparison.Command(argv, variables), ways)
        return found.problems


if __name__ == "__main__":
    comparison.main(ROWS, check)
