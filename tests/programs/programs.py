# SPDX-License-Identifier: MIT OR Apache-2.0
"""Programs of many runtimes: none may notice the library. `programs.py NAME` runs one row of the
table under every setting, in every place."""

import contextlib
import dataclasses
import os
import shlex
import subprocess
import sys
import time

import comparison
import groups
import harness


@dataclasses.dataclass(frozen=True)
class Program:
    """`{sources}` and `{work}` stand for folders, the latter for what `build` has made."""

    command: str
    build: tuple = ()
    # What asks for more memory than there is, as told: (setting, place).
    beyond: tuple = ()


PYTHON = "/usr/bin/python3"  # Debian's
JAVA = "java -XX:TieredStopAtLevel=1 -XX:-UsePerfData -cp {work}"
JAVA_BUILD = ("javac -d {work} {sources}/Work.java",)

PROGRAMS = {
    "node": Program("node -e console.log(1)"),
    "node-heap": Program("node --expose-gc {sources}/heap.js"),
    "node-workers": Program("node {sources}/workers.js"),
    "python-advice": Program(PYTHON + " {sources}/advice.py"),
    "python-processes": Program(PYTHON + " {sources}/processes_.py"),
    "python-threads": Program(PYTHON + " {sources}/threads.py"),
    "java-version": Program("java -version"),
    "java": Program(JAVA + " Work", JAVA_BUILD),
    "java-serial": Program(JAVA + " -Xmx32m -XX:+UseSerialGC Work", JAVA_BUILD),
    "java-g1": Program(JAVA + " -Xmx48m -XX:+UseG1GC Work", JAVA_BUILD),
    "ruby": Program("ruby {sources}/work.rb"),
    "php": Program("php {sources}/work.php"),
    "perl": Program("perl {sources}/work.pl"),
    "erlang": Program(
        "erl -noinput -noshell -pa {work} -s work main", ("erlc -o {work} {sources}/work.erl",)
    ),
    "go-cgo": Program(
        "{work}/program", ("env CGO_ENABLED=1 go build -o {work}/program {sources}/work.go",)
    ),
    "go-static": Program(
        "{work}/program",
        ("env CGO_ENABLED=0 go build -tags static -o {work}/program {sources}/work.go",),
    ),
    "luajit": Program("luajit {sources}/work.lua"),
    "guile": Program("guile --no-auto-compile {sources}/work.scm"),
    "ocaml": Program("ocaml -noinit {sources}/work.ml"),
    "tcl": Program("tclsh {sources}/work.tcl"),
    "clang-version": Program("clang --version"),
    "clang": Program("sh {sources}/compile.sh clang {sources}/hello.c"),
    "gcc": Program("sh {sources}/compile.sh gcc {sources}/hello.c"),
    "sqlite": Program("sh {sources}/sqlite.sh"),
    "git": Program("sh {sources}/git.sh"),
    "bash": Program("bash {sources}/loops.sh"),
    "dash": Program("dash {sources}/loops.sh"),
    "tools": Program("sh {sources}/tools.sh"),
}


def expanded(command, folders):
    argv = [word.format(**folders) for word in shlex.split(command)]
    if not os.path.isabs(argv[0]):
        argv[0] = harness.require_program(argv[0])
    elif not os.path.exists(argv[0]):
        harness.skip(f"{argv[0]} is not installed (scripts/setup programs)")
    return argv


def build(program, folders):
    for command in program.build:
        argv = shlex.split(command.format(**folders))
        harness.require_program(argv[0] if argv[0] != "env" else argv[2])
        cache = {"GOCACHE": f"{folders['work']}/cache", "GOFLAGS": "-mod=mod"}
        subprocess.run(argv, env=os.environ | cache, stdout=sys.stderr, check=True)


def cells(program):
    for place in comparison.PLACES:
        for setting in comparison.SETTINGS:
            if (setting, place) not in program.beyond:
                yield place, setting


@contextlib.contextmanager
def group_for(place):
    if place != "group":
        yield None
        return
    with groups.limited(comparison.GROUP_MIB) as group:
        if not group:
            print("left out: no control group with a limit on memory can be made here")
        yield group


class Comparer:
    """Runs a program in one place after another, and counts what differs."""

    def __init__(self, argv, work, library):
        self.argv, self.work = argv, work
        self.preload = {"LD_PRELOAD": comparison.staged(library, work)}
        self.problems = 0

    def compare(self, place, settings):
        with group_for(place) as group:
            if place == "group" and not group:
                return
            without = comparison.run(self.argv, self.work, {}, place, group)
            print(f"{place}: {without.status}, {len(without.out)} bytes, {without.err[-300:]!r}")
            if without.status != "exit status 0":
                self.report(place, "reference", f"{without.status}: {without.err[-400:]!r}")
                return
            for setting in settings:
                environment = self.preload | comparison.SETTINGS[setting]
                result = comparison.run(self.argv, self.work, environment, place, group)
                self.judge(place, setting, without, result)

    def judge(self, place, setting, without, result):
        problem = comparison.difference(without, result)
        told = comparison.AS_TOLD in result.out + result.err
        if problem and setting == "future" and place == "user" and told:
            print(f"{place} {setting}: as told, under a limit that binds: {problem}")
        elif problem:
            self.report(place, setting, problem)

    def report(self, place, setting, problem):
        print(f"FAILED {place} {setting}: {problem}")
        self.problems += 1


def check(program, library):
    with harness.work_folder() as work:
        folders = {"work": work, "sources": comparison.staged_sources(work)}
        build(program, folders)
        comparer = Comparer(expanded(program.command, folders), work, library)
        for place in comparison.PLACES:
            settings = [setting for where, setting in cells(program) if where == place]
            begin = time.monotonic()
            comparer.compare(place, settings)
            print(f"{place}: {time.monotonic() - begin:.1f} s")
    return comparer.problems


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in PROGRAMS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(PROGRAMS)}")
    library = os.environ.get("DUENDE_MLOCK_LIBRARY")
    if not library:
        sys.exit("DUENDE_MLOCK_LIBRARY must be the path of the preload library")
    harness.stop_on_sigterm()
    comparison.require_root()
    sys.exit(1 if check(PROGRAMS[sys.argv[1]], library) else 0)


if __name__ == "__main__":
    main()
