"""How long a thread may run before Linux looks who else waits: who asks for less is let in at once when it wakes.

Without that a thread that wakes may wait for some milliseconds behind whoever has just begun to run, however nice that
one is: niceness decides how much it may run in all, not when it makes room. Linux 6.12 and later know such wishes;
where they are unknown nothing changes.
"""

from __future__ import annotations

import ctypes
import os
import platform
from struct import Struct

SHORT, LONG = 500, 100_000
"""Microseconds: of who must answer at once, and of who has time. Linux gives 700 to 2,800 to those that do not ask."""
CALLS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The number of `sched_setattr`, for which few C libraries have a function."""
ATTRIBUTES = Struct("=IIQiIQQQ")
"""Size, policy, flags, niceness, priority, and nanoseconds: the slice, and two that are for other policies."""
ALONE, ALONE_TOLD = 1, 1 << 30
"""That threads and processes which are started later have the usual slice: as it is written, and as it is read."""


def ask(micros: int, alone: bool = True) -> bool:
    """Asks for slices of this length for this thread, `alone` or with all that it will start; whether the system took
    the wish, which it need not know. A thread that somebody has given another policy keeps it."""
    call = CALLS.get(platform.machine())
    if call is None or not hasattr(os, "SCHED_OTHER") or os.sched_getscheduler(0) & ~ALONE_TOLD != os.SCHED_OTHER:
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    wish = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, ALONE * alone, niceness, 0, micros * 1000, 0, 0)
    return bool(ctypes.CDLL(None).syscall(ctypes.c_long(call), 0, wish, 0) == 0)
