# SPDX-License-Identifier: MIT OR Apache-2.0
"""Changes of users that fakeroot remembers and the kernel never hears of."""

import os

real = [line for line in open("/proc/self/status") if line.startswith(("Uid", "Gid"))]
os.setgid(30)
os.setegid(31)
os.seteuid(32)
print(os.getresuid(), os.getresgid())
os.setresuid(33, 34, 35)
os.setregid(36, 37)
print(os.getresuid(), os.getresgid())
os.setuid(40)
print(os.getresuid(), os.getresgid())
print(real == [line for line in open("/proc/self/status") if line.startswith(("Uid", "Gid"))])
