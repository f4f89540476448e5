# SPDX-License-Identifier: MIT OR Apache-2.0
"""Children by every way that Python has."""

import multiprocessing
import os
import subprocess


def square(number):
    return number * number


def forked():
    child = os.fork()
    if child == 0:
        os._exit(len(bytearray(8 << 20)) >> 20)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    print(subprocess.run(["true"], capture_output=True, check=True))
    print(subprocess.getoutput("awk 'BEGIN { print 1 }' 2>&1"))
    print(subprocess.getoutput("echo out; echo err >&2"))
    print(subprocess.run("echo shell", shell=True, capture_output=True, preexec_fn=os.getpid))
    print([forked() for _ in range(20)])
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(10)))
