"""Makes system calls of this process fail from now on, by a filter of Linux itself (seccomp): no root, no tools."""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

NUMBERS = {
    "x86_64": {
        "seccomp": 317,
        "fsync": 74,
        "fdatasync": 75,
        "pwrite64": 18,
        "pwritev": 296,
        "pwritev2": 328,
        "write": 1,
    },
    "aarch64": {
        "seccomp": 277,
        "fsync": 82,
        "fdatasync": 83,
        "pwrite64": 68,
        "pwritev": 70,
        "pwritev2": 287,
        "write": 64,
    },
}[platform.machine()]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NO_NEW_PRIVILEGES, SET_FILTER, ALL_THREADS = 38, 1, 1


def failing(calls: Iterable[str], number: int = errno.EIO) -> None:
    """These calls fail with an error number in all threads; it cannot be undone."""
    libc = ctypes.CDLL(None, use_errno=True)
    known = [NUMBERS[call] for call in calls]
    code = [(LOAD, 0, 0, 0)]
    code += [(EQUAL, len(known) - place, 0, call) for place, call in enumerate(known)]
    code += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | number)]
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program)
    filtered = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    assert libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert libc.syscall(NUMBERS["seccomp"], SET_FILTER, ALL_THREADS, ctypes.c_char_p(filtered)) == 0, ctypes.get_errno()
