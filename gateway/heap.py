"""What the C library keeps of freed memory: bodies come and go without the kernel handing out their pages anew."""

from __future__ import annotations

import contextlib
import ctypes

TRIM, MAP = -1, -3
"""glibc's names of its two limits (malloc.h)."""
KEPT = 8 * 1024 * 1024
"""Free bytes at the heap's end beyond which they are given back; by default 128 kB, less than a few long prompts."""
LARGE = 4 * 1024 * 1024
"""From so many bytes on, a piece of memory is the kernel's own, and is given back when it is freed."""


def keep_freed() -> None:
    """From now on; only glibc knows how."""
    with contextlib.suppress(AttributeError):
        adjust = ctypes.CDLL(None).mallopt
        adjust(MAP, LARGE)
        adjust(TRIM, KEPT)
