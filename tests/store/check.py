# SPDX-License-Identifier: MIT OR Apache-2.0
"""What goes through the second library comes out as without it: check.py CASE, one of CASES."""

import contextlib
import ctypes
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SKIP = 77
MIB = 1 << 20
HOSTS = pathlib.Path(os.environ["DUENDE_MLOCK_HOSTS"])
STORE_LIBRARY = os.environ["DUENDE_MLOCK_STORE_LIBRARY"]
LIBRARY = os.environ["DUENDE_MLOCK_LIBRARY"]
DIRECT = " bytes, by way of 4096 KiB of locked buffers"
ENDING = "; fix: a block device, or a file on ext4 or xfs"


class Failed(Exception):
    """A check did not hold."""


def check(holds, what):
    if not holds:
        raise Failed(what)


def skip(precondition):
    print(f"skipped: {precondition}")
    sys.exit(SKIP)


def require(program, package):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path) or skip(f"{program} is not installed ({package})")


@contextlib.contextmanager
def work_folder():
    """Where files can be opened with O_DIRECT: beside the build."""
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix="store-") as name:
        folder = pathlib.Path(name)
        probe = folder / "probe"
        try:
            os.close(os.open(probe, os.O_RDWR | os.O_CREAT | os.O_DIRECT))
        except OSError:
            skip(f"the file system of {os.getcwd()} has no O_DIRECT")
        kind = subprocess.run(["stat", "-fc", "%T", name], capture_output=True, text=True)
        if kind.stdout.strip() in ("tmpfs", "ramfs"):
            skip(f"{os.getcwd()} is on a tmpfs")
        probe.unlink()
        yield folder


def environment(store, variables=(), libraries=STORE_LIBRARY):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DUENDE_MLOCK_")}
    kept |= {f"DUENDE_MLOCK_{name}": value for name, value in dict(variables).items()}
    if store is not None:
        kept["DUENDE_MLOCK_STORE"] = str(store)
    return kept | {"LD_PRELOAD": libraries}


def run(argv, store, variables=(), libraries=STORE_LIBRARY, stdin=None, prepare=None):
    """Exit status, stdout, and what the library said, without its beginning."""
    done = subprocess.run(
        [str(word) for word in argv],
        env=environment(store, variables, libraries),
        stdin=stdin,
        preexec_fn=prepare,
        capture_output=True,
        text=True,
        timeout=1700,
    )
    said = [line.split(": ", 1)[-1] for line in done.stderr.splitlines()]
    return done.returncode, done.stdout, said


def direct(store, lines):
    """The one line of a store that is what was asked for."""
    start = f"store {store}: O_DIRECT, in blocks of "
    return len(lines) == 1 and lines[0].startswith(start) and lines[0].endswith(DIRECT)


def cached(path):
    """Bytes of the file in the page cache."""
    fincore = require("fincore", "util-linux")
    done = subprocess.run([fincore, "-bno", "RES", path], capture_output=True, text=True)
    return int(done.stdout or 0)


def same(a, b):
    return subprocess.run(["cmp", a, b]).returncode == 0


def operations(count, threads):
    with work_folder() as folder:
        file = folder / "file"
        seed = int.from_bytes(os.urandom(3), "little")
        print(f"seed {seed}")
        argv = [HOSTS / "operations", file, count, threads, seed]
        status, out, said = run(argv, file)
        check(status == 0, f"exit {status}: {out} {said}")
        check(direct(file, said), f"said {said}")
        # As a stranger sees it, without the library.
        check(same(file, f"{file}.model"), "the file is not the model")


def behaviour(program):
    program = HOSTS / program
    if not program.exists():
        skip("musl-gcc is not installed (musl-tools)")
    with work_folder() as folder:
        file = folder / "file"

        def expect(case, more, variables=(), status=0):
            result, out, said = run([program, case, file], file, variables)
            check((result, out) == (status, ""), f"{case}: exit {result}\n{out}{said}")
            check(direct(file, said[:1]), f"{case}: said {said}")
            check(said[1:] == [f"store {file}: {line}" for line in more], f"{case}: said {said}")

        mapped = "through the page cache from now on: the daemon maps it to write"
        asynchronous = "through the page cache from now on: the daemon uses asynchronous I/O"
        stream = "through the page cache from now on: the daemon calls fdopen(3)"
        expect("all", [])
        expect("all", [], {"REQUIRED": "1"})
        expect("written-mapping", [mapped])
        expect("stream", [stream])
        expect("asynchronous", [asynchronous])
        expect("written-mapping", [mapped], {"REQUIRED": "1"}, -signal.SIGABRT)
        expect("stream", [stream], {"REQUIRED": "1"}, -signal.SIGABRT)
        with open(file, "r+b") as inherited:
            status, out, said = run([program, "inherited", file], file, stdin=inherited)
            check(status == 0 and direct(file, said), f"inherited: exit {status} {out} {said}")


def tmpfs():
    """What has nothing but the page cache works as without; or nothing runs."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = pathlib.Path(folder) / "file"
        argv = [HOSTS / "behaviour", "cached", file]
        text = f"store {file}: through the page cache: tmpfs has nothing else{ENDING}"
        check(run(argv, file) == (0, "", [text]), "as without")
        required = run(argv, file, {"REQUIRED": "1"})
        check(required == (-signal.SIGABRT, "", [text]), f"required: {required}")


def forbid_locks():
    """RLIMIT_MEMLOCK 0, and no CAP_IPC_LOCK from the next exec on."""
    drop_from_bounding_set, ipc_lock = 24, 14
    ctypes.CDLL(None).prctl(drop_from_bounding_set, ipc_lock, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))


def unlocked():
    """Buffers that cannot be locked are told, and used; or nothing runs."""
    with work_folder() as folder:
        file = folder / "file"
        argv = [HOSTS / "behaviour", "stream", file]
        fix = "; fix: 4 MiB more of RLIMIT_MEMLOCK"
        told = f"store {file}: its buffers are not locked (errno 1, EPERM){fix}"
        status, out, said = run(argv, file, prepare=forbid_locks)
        check((status, out) == (0, ""), f"exit {status} {out} {said}")
        check(said[0] == told and said[1].endswith("KiB of buffers"), f"said {said}")
        required = run(argv, file, {"REQUIRED": "1"}, prepare=forbid_locks)
        check(required == (-signal.SIGABRT, "", [told]), f"required: {required}")


def configuration():
    program = ["/bin/true"]
    silent = (0, "", [])
    error = (
        "no store is opened with O_DIRECT: DUENDE_MLOCK_STORE takes at most 16 absolute paths, "
        ": between, in less than 4096 bytes"
    )
    check(run(program, None) == silent, "without a store")
    check(run(program, "") == silent, "an empty value is as if unset")
    check(run(program, "/nowhere:/dev/nothing") == silent, "what is not there yet")
    check(run(program, "relative", {"ONLY": "other"}) == silent, "another program's")
    for value in ["relative", "/a::/b", ":", "/" * 4096, ":".join(["/a"] * 17)]:
        check(run(program, value) == (0, "", [error]), f"{value} is accepted")
        required = run(program, value, {"REQUIRED": "1"})
        check(required == (-signal.SIGABRT, "", [error]), f"{value}: {required}")
    # The first library knows the name.
    status, _, said = run(program, "/dev/nothing", libraries=LIBRARY)
    check(status == 0 and "STORE" not in " ".join(said), f"the first library says {said}")
    status, _, said = run(program, "relative", libraries=LIBRARY)
    accepted = 'DUENDE_MLOCK_STORE="relative" is not accepted; accepted: paths, : between; default: unset'
    check(status == 0 and accepted in said, f"the first library says {said}")


def fio():
    """Its own check of what it wrote, by several threads in blocks of odd sizes."""
    program = require("fio", "fio")
    with work_folder() as folder:
        file = folder / "file"
        argv = [program, "--name=store", f"--filename={file}", "--thread", "--numjobs=4"]
        argv += ["--size=3000100", "--offset_increment=3000100", "--io_size=12000000"]
        argv += ["--verify=crc32c", "--verify_fatal=1", "--fallocate=none", "--minimal"]
        argv += ["--rw=randrw", "--invalidate=0", "--fsync=64", f"--aux-path={folder}"]
        for engine, size in [("psync", "1700"), ("vsync", "4096"), ("pvsync2", "53100")]:
            status, out, said = run([*argv, f"--ioengine={engine}", f"--bs={size}"], file)
            check(status == 0, f"{engine}: exit {status}\n{out}\n{said}")
            check(direct(file, said), f"{engine}: said {said}")


def device():
    """A block device answers as without the library: here a file of three odd blocks more than 1 MiB."""
    losetup = require("losetup", "mount")
    argv = [sys.executable, pathlib.Path(__file__).with_name("device.py")]
    answers = []
    with work_folder() as folder:
        for store in [None, "itself"]:
            image = folder / "image"
            image.write_bytes(bytes(MIB + 3 * 512))
            attach = [losetup, "--find", "--show", "--sector-size", "512", image]
            attached = subprocess.run(attach, capture_output=True, text=True)
            path = attached.stdout.strip()
            if attached.returncode != 0:
                skip(f"no loop device: {attached.stderr.strip()}")
            try:
                status, out, said = run([*argv, path], store and path, libraries=STORE_LIBRARY)
            finally:
                subprocess.run([losetup, "--detach", path], check=True)
            check(status == 0, f"exit {status}: {said}")
            check(said == [] if store is None else direct(path, said), f"said {said}")
            answers.append(out)
    check(answers[0] == answers[1], f"without:\n{answers[0]}\nwith:\n{answers[1]}")


@contextlib.contextmanager
def serving(argv, store, work):
    """A server under both libraries, until the scope ends."""
    pid, path = work / "pid", work / "socket"
    libraries = f"{LIBRARY}:{STORE_LIBRARY}"
    with open(work / "log", "wb") as stderr:
        server = subprocess.Popen(
            [str(word) for word in argv], env=environment(store, libraries=libraries), stderr=stderr
        )
        try:
            deadline = time.monotonic() + 20
            while not (path.exists() and pid.exists() and pid.read_text().strip()):
                ended = server.poll()
                check(not ended, f"the server ended with {ended}: {(work / 'log').read_text()}")
                check(time.monotonic() < deadline, "the server does not listen")
                os.sched_yield()
            yield f"nbd+unix:///{{}}?socket={path}"
        finally:
            # It may have gone into the background.
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(20)


def over_nbd(file, uri):
    """What clients of other makes write and read, and what is then in the file."""
    qemu_io = require("qemu-io", "qemu-utils")
    nbdcopy = require("nbdcopy", "libnbd-bin")
    image = file.with_suffix(".image")
    image.write_bytes(os.urandom(16 * MIB))
    subprocess.run([nbdcopy, "--flush", image, uri], check=True)
    copy = file.with_suffix(".copy")
    subprocess.run([nbdcopy, uri, copy], check=True)
    check(same(image, copy) and same(image, file), "nbdcopy: not the same bytes")
    commands = ["write -P 1 512 5120", "write -P 2 1049088 70144", "write -z 4194816 66048"]
    commands += ["discard 8388608 65536", "flush", "read -P 1 512 5120"]
    commands += ["read -P 2 1049088 70144", "read -P 0 4194816 66048"]
    commands += ["aio_write -P 3 2097152 130560", "aio_write -P 4 2227712 130560", "aio_flush"]
    commands += ["read -P 3 2097152 130560", "read -P 4 2227712 130560", "flush"]
    argv = [qemu_io, "-f", "raw", uri]
    for command in commands:
        argv += ["-c", command]
    done = subprocess.run(argv, capture_output=True, text=True)
    check(done.returncode == 0 and "failed" not in done.stdout, f"qemu-io: {done.stdout}{done.stderr}")
    # Read by a way that leaves nothing in the page cache.
    fd = os.open(file, os.O_RDONLY)
    check(os.pread(fd, 5120, 512) == b"\1" * 5120, "the file after qemu-io")
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    subprocess.run([nbdcopy, uri, copy], check=True)
    check(same(file, copy), "the export is not the file")
    fd = os.open(file, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    subprocess.run([nbdcopy, "--flush", image, uri], check=True)
    check(cached(file) == 0, f"{cached(file)} bytes of it are in the page cache")


def disk(folder):
    file = folder / "disk"
    with open(file, "wb") as created:
        created.truncate(16 * MIB)
    return file


def nbdkit():
    program = require("nbdkit", "nbdkit")
    with work_folder() as work:
        file = disk(work)
        argv = [program, "-f", "-U", work / "socket", "-P", work / "pid", "file", file]
        with serving(argv, file, work) as uri:
            over_nbd(file, uri.format(""))
        log = (work / "log").read_text()
        check(log.count(f"store {file}: O_DIRECT") == 1, log)


def nbd_server():
    """It goes into the background, and forks for each client."""
    program = require("nbd-server", "nbd-server")
    with work_folder() as work, socket.create_server(("127.0.0.1", 0)) as free:
        file = disk(work)
        port = free.getsockname()[1]
        free.close()
        (work / "config").write_text(
            f"[generic]\nunixsock = {work / 'socket'}\nlistenaddr = 127.0.0.1\nport = {port}\n"
            f"[export]\nexportname = {file}\nflush = true\nfua = true\ntrim = true\n"
        )
        with serving([program, "-C", work / "config", "-p", work / "pid"], file, work) as uri:
            over_nbd(file, uri.format("export"))


CASES = {
    "operations": lambda: operations(30000, 8),
    "million": lambda: operations(1000000, 16),
    "behaviour": lambda: behaviour("behaviour"),
    "behaviour-musl": lambda: behaviour("musl-behaviour"),
    "tmpfs": tmpfs,
    "unlocked": unlocked,
    "configuration": configuration,
    "device": device,
    "fio": fio,
    "nbdkit": nbdkit,
    "nbd-server": nbd_server,
}

if __name__ == "__main__":
    try:
        CASES[sys.argv[1]]()
    except Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
