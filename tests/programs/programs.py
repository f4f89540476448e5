# SPDX-License-Identifier: MIT OR Apache-2.0
"""Programs of many runtimes: none may notice the library. `programs.py NAME` runs one row of the
table under every setting, in every place."""

import dataclasses

import comparison


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
    "go-cgo": Program("{work}/program errors", ("go build -o {work}/program {sources}/work.go",)),
    "go-static": Program(
        "{work}/program",
        # Without libc, and so without the library. Its child has that, and a line to say.
        ("go build -tags osusergo,netgo -o {work}/program {sources}/work.go",),
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
    "valgrind": Program("valgrind -q --error-exitcode=9 cat {sources}/work.pl"),
    "tools": Program("sh {sources}/tools.sh"),
}


def ways_of(program, argv, library, place):
    """The command under every setting that leaves it enough memory."""
    return {
        setting: comparison.Command(argv, {"LD_PRELOAD": library} | variables)
        for setting, variables in comparison.SETTINGS.items()
        if (setting, place) not in program.beyond
    }


def check(program, library):
    with comparison.prepared(library) as folders:
        comparison.build(program.build, folders)
        argv = comparison.expanded(program.command, folders)
        found = comparison.Comparison(folders["work"])
        for place in comparison.PLACES:
            ways = ways_of(program, argv, folders["library"], place)
            found.compare(place, comparison.Command(argv), ways)
        return found.problems


if __name__ == "__main__":
    comparison.main(PROGRAMS, check)
