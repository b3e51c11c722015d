"""What a child program does for its parent: one JSON line when it is ready, and an end with it, however it ends."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import IO

PR_SET_PDEATHSIG = 1


def own_stdout() -> IO[str]:
    """Standard output for our line alone: whatever a native library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


def say(out: IO[str], line: dict[str, str]) -> None:
    """Tells the parent `url` or `error`."""
    out.write(json.dumps(line) + "\n")
    out.flush()


def die_with_parent() -> None:
    """Ends this process with its parent, even one that was killed: the kernel tells, and so does the pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_end_of_input, daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)
