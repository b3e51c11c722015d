"""What keeps a sandboxed task from doing harm: resource limits, and what the operating system can refuse it.

| guard | refuses | needs |
|---|---|---|
| rlimits | CPU, memory, writing files, core dumps, open files | any Unix (memory: not macOS) |
| seccomp | processes and threads, programs, sockets, signals, tracing, raising limits | Linux on x86_64 or arm64 |
| Landlock | reading outside Python and its packages, changing any file | Linux 5.13 or newer |
| namespace | the network | Linux where users may make namespaces |

Where a guard cannot be had the others still hold; on other systems than Linux only the limits and the clock do, so
run nothing hostile there.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable

LINUX = sys.platform == "linux"

# System calls a task is refused, as (x86_64, arm64) numbers; None: the machine has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "clone3": (435, 435),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "io_uring_setup": (425, 425),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "setrlimit": (160, 164),
    "prlimit64": (302, 261),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "keyctl": (250, 219),
}
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_FILTER, ALLOW, REFUSE = 2, 0x7FFF0000, 0x00050000 | 1  # REFUSE: the call fails with EPERM
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF operations
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_ALL, LANDLOCK_READ = (1 << 13) - 1, (1 << 0) | (1 << 2) | (1 << 3)
SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Asks the system to kill this process when its parent ends."""
    if LINUX:
        _libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def leave_network() -> bool:
    """Moves this process and its children to a network of their own, without any interface."""
    return LINUX and (_libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 or _libc.unshare(CLONE_NEWNET) == 0)


def limit(seconds: float, memory_bytes: int) -> None:
    """Sets the resource limits of a task; `memory_bytes` is its whole address space."""
    cpu = int(-(-seconds // 1))
    _lower(resource.RLIMIT_CPU, cpu, cpu + 1)
    _lower(resource.RLIMIT_FSIZE, 0, 0)
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_NOFILE, 64, 64)
    if LINUX:
        _lower(resource.RLIMIT_AS, memory_bytes, memory_bytes)
        if os.getuid() != 0:  # root is exempt from this one; seccomp is not
            _lower(resource.RLIMIT_NPROC, 0, 0)


def _lower(which: int, soft: int, hard: int) -> None:
    highest = resource.getrlimit(which)[1]
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(which, (soft, hard))


def address_space() -> int:
    """Bytes of address space that this process has now; 0 where that is not known."""
    if not LINUX:
        return 0
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def refuse_calls() -> bool:
    """Installs the seccomp filter in this process, for good."""
    machine = MACHINES.get(platform.machine())
    if not LINUX or machine is None:
        return False
    program = _filter(*machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(_libc.prctl(PR_SET_SECCOMP, SECCOMP_FILTER, ctypes.c_char_p(header), 0, 0) == 0)


def _filter(column: int, architecture: int) -> bytes:
    """A BPF program: another architecture's calls and the refused ones fail, the rest pass."""
    numbers = [number for row in REFUSED.values() if (number := row[column]) is not None]
    steps = [(LOAD, 0, 0, 4), (EQUAL, 0, len(numbers) + 3, architecture), (LOAD, 0, 0, 0)]
    steps.append((AT_LEAST, len(numbers) + 1, 0, 0x40000000))  # the x32 calls of x86_64
    steps += [(EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def read_only(folders: Iterable[str]) -> bool:
    """Lets this process and its children read beneath `folders` and touch no other file."""
    if not LINUX:
        return False
    rules = _libc.syscall(LANDLOCK_CREATE, ctypes.c_char_p(struct.pack("Q", LANDLOCK_ALL)), 8, 0)
    if rules < 0:
        return False
    for folder in folders:
        _allow(rules, folder)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = _libc.syscall(LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _allow(rules: int, folder: str) -> None:
    try:
        opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    except OSError:  # a folder that this system does not have
        return
    _libc.syscall(LANDLOCK_ADD, rules, 1, ctypes.c_char_p(struct.pack("=Qi", LANDLOCK_READ, opened)), 0)
    os.close(opened)
