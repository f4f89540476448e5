# SPDX-License-Identifier: MIT OR Apache-2.0
"""Threads that come and go, with arenas of their own."""

import concurrent.futures
import threading


def work(number):
    blocks = [bytearray(100_000) for _ in range(20)]
    return number + sum(map(len, blocks))


threads = [threading.Thread(target=work, args=(i,)) for i in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(work, range(200))))
