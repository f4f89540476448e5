# SPDX-License-Identifier: MIT OR Apache-2.0
"""Other libraries that are preloaded: beside each, in either order, programs run as with that one
alone. `neighbours.py NAME` runs one row."""

import dataclasses
import glob
import subprocess

import comparison
import harness

PYTHON = "/usr/bin/python3"


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """`{neighbour}` stands for its path, found by `pattern` or from what the compiler says."""

    command: str  # `{order}` where the library is to be added
    pattern: str = ""
    compiler_file: str = ""
    build: tuple = ()
    variables: dict = dataclasses.field(default_factory=dict)
    orders: tuple = ("first", "last")


def beside(command):
    return "env LD_PRELOAD={neighbour} sh {sources}/preloaded.sh {order} " + command


ASAN = beside("sh {sources}/asan.sh {work}/program")
# Memory is given back as soon as it is freed, so that what is left of it can be compared.
AT_ONCE = {
    "MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2",
    "TCMALLOC_RELEASE_RATE": "10000",
    "PYTHONMALLOC": "malloc",
}
JEMALLOC = "/usr/lib/*/libjemalloc.so.*"
TCMALLOC = "/usr/lib/*/libtcmalloc_minimal.so.*"
EATMYDATA = "/usr/lib/*/libeatmydata.so"

NEIGHBOURS = {
    "fakeroot": Neighbour(
        "fakeroot sh {sources}/preloaded.sh {order} sh {sources}/fake.sh",
        "/usr/lib/*/libfakeroot/libfakeroot-sysv.so",
    ),
    "eatmydata": Neighbour(beside("sh {sources}/sqlite.sh"), EATMYDATA),
    "eatmydata-git": Neighbour(beside("sh {sources}/git.sh"), EATMYDATA),
    "jemalloc": Neighbour(
        beside(PYTHON + " {sources}/returned.py"), JEMALLOC, variables=AT_ONCE
    ),
    "jemalloc-ruby": Neighbour(beside("ruby {sources}/work.rb"), JEMALLOC, variables=AT_ONCE),
    "tcmalloc": Neighbour(
        beside(PYTHON + " {sources}/returned.py"), TCMALLOC, variables=AT_ONCE
    ),
    "tcmalloc-ruby": Neighbour(beside("ruby {sources}/work.rb"), TCMALLOC, variables=AT_ONCE),
    "asan": Neighbour(
        ASAN,
        compiler_file="libasan.so",
        build=("gcc -g -fsanitize=address -pthread -o {work}/program {sources}/asan.c",),
        # It insists on being the first otherwise, before anything that is preloaded.
        variables={"ASAN_OPTIONS": "verify_asan_link_order=0"},
    ),
    "asan-static": Neighbour(
        "sh {sources}/preloaded.sh {order} sh {sources}/asan.sh {work}/program",
        build=(
            "gcc -g -fsanitize=address -static-libasan -pthread"
            " -o {work}/program {sources}/asan.c",
        ),
        orders=("first",),
    ),
    "asan-clang": Neighbour(
        "sh {sources}/preloaded.sh {order} sh {sources}/asan.sh {work}/program",
        build=("clang -g -fsanitize=address -pthread -o {work}/program {sources}/asan.c",),
        orders=("first",),
    ),
}
# Not populated: AddressSanitizer maps terabytes.
SETTINGS = ("default", "future")


def path_of(neighbour):
    if neighbour.compiler_file:
        command = [harness.require_program("gcc"), "-print-file-name=" + neighbour.compiler_file]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not neighbour.pattern:
        return ""
    found = sorted(glob.glob(neighbour.pattern))
    return found[0] if found else harness.skip(f"{neighbour.pattern} (scripts/setup programs)")


def commands_of(neighbour, folders):
    """Without the library, and by name what is to be compared with that."""

    def command(order, variables):
        argv = comparison.expanded(neighbour.command, folders | {"order": order})
        library = {"LIBRARY": folders["library"]}
        return comparison.Command(argv, neighbour.variables | library | variables)

    ways = {
        f"{setting}, {order}": command(order, comparison.SETTINGS[setting])
        for setting in SETTINGS
        for order in neighbour.orders
    }
    return command("without", {}), ways


def check(neighbour, library):
    with comparison.prepared(library) as folders:
        folders["neighbour"] = path_of(neighbour)
        comparison.build(neighbour.build, folders)
        without, ways = commands_of(neighbour, folders)
        found = comparison.Comparison(folders["work"])
        for place in ("root", "user"):
            found.compare(place, without, ways)
        return found.problems


if __name__ == "__main__":
    comparison.main(NEIGHBOURS, check)
