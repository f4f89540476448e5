# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whether memory that was freed, by one thread and by many, is given back."""

import threading

COUNT, SIZE = 30_000, 3000


def resident():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def work(share=1):
    for _ in range(2):
        blocks = [bytes(SIZE + i % 1000) for i in range(COUNT // share)]
        del blocks


def given_back():
    """Of what work() has had at a time, most."""
    return resident() < COUNT * SIZE / 3


work()
print("one thread", given_back())
threads = [threading.Thread(target=work, args=(4,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("five threads", given_back())
