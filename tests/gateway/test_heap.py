"""Memory that was freed is kept for the next body."""

from __future__ import annotations

import platform
import subprocess
import sys

FAULTS = """
import resource, sys
from gateway.heap import keep_freed
if sys.argv[1] == "kept":
    keep_freed()
def body():
    return [bytearray(100_000) for _ in range(16)]
body()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    body()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_bodies_that_come_and_go_do_not_take_their_pages_from_the_kernel_each_time():
    assert faults("kept") < faults("as it was") or platform.libc_ver()[0] != "glibc"
