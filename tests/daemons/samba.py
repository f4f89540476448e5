# SPDX-License-Identifier: MIT OR Apache-2.0
"""smbd: a child for each client, whose threads change users by system calls of their own."""

import subprocess

import harness
from harness import LIMIT, Row

SIZE = 64 * 1024 * 1024
FOLDERS = ("private", "lock", "state", "cache", "pid", "ncalrpc")


def configuration(work, port):
    folders = "\n".join(f"{name} {kind} = {work}/{name}" for name, kind in folder_options())
    return f"""
[global]
server role = standalone server
smb ports = {port}
interfaces = lo
bind interfaces only = yes
disable netbios = yes
disable spoolss = yes
load printers = no
map to guest = Bad User
guest account = nobody
log file = {work}/log
{folders}
[share]
path = {work}/share
guest ok = yes
"""


def folder_options():
    return ((name, "dir" if name in ("private", "ncalrpc") else "directory") for name in FOLDERS)


def get(work, port, config):
    """The file by way of the server, as a guest."""

    def request():
        program = harness.require_program("smbclient")
        command = [program, "//127.0.0.1/share", "-p", str(port), "-N", "-s", str(config)]
        command += ["-c", f"get file {work}/copy"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        print(done.stdout, done.stderr)
        harness.check_equal(done.returncode, 0, "exit status of smbclient")
        harness.check_equal((work / "copy").read_bytes() == content(), True, "the file is whole")

    return request


def content():
    return bytes(range(256)) * (SIZE // 256)


def started_as(*options):
    def daemon(work):
        program = harness.require_program("smbd")
        harness.require_program("smbclient")
        port = harness.free_port()
        for name in (*FOLDERS, "share"):
            (work / name).mkdir()
        (work / "share").chmod(0o755)
        (work / "share" / "file").write_bytes(content())
        config = work / "smb.conf"
        config.write_text(configuration(work, port))
        argv = [program, *options, "--configfile", str(config), "--no-process-group"]
        return harness.Daemon(
            argv,
            ready=harness.connectable(port),
            request=get(work, port, config),
            processes=None,
        )

    return daemon


ROWS = {
    "foreground": Row(started_as("--foreground")),
    "daemonised": Row(started_as("--daemon")),
    "limit-foreground": Row(started_as("--foreground"), LIMIT),
    "limit-future": Row(
        started_as("--foreground"), LIMIT, environment={"DUENDE_MLOCK_FUTURE": "1"}
    ),
}

if __name__ == "__main__":
    harness.main(ROWS)
