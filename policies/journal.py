"""A file beside the ledger's, to which a process appends its rows until they are brought in: a write without a wait.

What was appended survives kill -9 of its process, since the system has it. Each process writes files of its own, each
under a lock, and each is brought in once: whoever opens the ledger takes over those whose process has died. A line is
the sums of what follows: the times of the earliest and the latest row, what they cost, and the rows.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from policies.groups import Group
from policies.repair import PIECE, WIDTH, proven, repaired, sums
from policies.rows import encode

logger = getLogger("lyceum")

MARK = "-rows-"
RECORD_BYTES = 256 * 1024
"""A record of the ledger's file takes rows up to so many: of a damaged one all may be lost."""


class Entry(NamedTuple):
    """The rows of a line. Times in Unix seconds, the cost in nano-dollars, the rows as a list in JSON."""

    first: float
    last: float
    cost: int
    rows: bytes


class Record(Struct):
    """What is to be one record of the ledger's file. `lines` are lists of rows without their brackets."""

    first: float
    last: float
    cost: int
    lines: list[bytes | bytearray]
    size: int


class Part(Struct, eq=False):
    """A journal's file: the `generation`-th of its owner, open and locked, and what is in it."""

    owner: str
    generation: int
    path: Path
    file: int
    records: list[Record] = field(default_factory=list)

    def take(self, first: float, last: float, cost: int, lines: bytes | bytearray, size: int) -> None:
        """Adds rows to the last record, or begins one."""
        record = self.records[-1] if self.records else None
        if record is None or record.size >= RECORD_BYTES:
            self.records.append(Record(first, last, cost, [lines], size))
            return
        record.lines.append(lines)
        record.size += size
        record.cost += cost
        if first < record.first:
            record.first = first
        if last > record.last:
            record.last = last

    def remove(self) -> None:
        """Its rows are in the ledger's file."""
        self.path.unlink(missing_ok=True)
        os.close(self.file)


class Journal:
    """The files of this process for the ledger at a path."""

    def __init__(self, path: Path) -> None:
        self._path, self._owner = path, f"{os.getpid():x}.{secrets.token_hex(6)}"
        self._generation = 0
        self._part: Part | None = None
        self.size = 0
        """Bytes of the file that is being written."""

    def append(self, group: Group) -> None:
        """Keeps a group's rows, once it is closed. Raises OSError: then nothing of it counts."""
        if self._part is None:
            self._part = self._next()
        lines = group.rows
        rest = b"".join((b"%b %b %d [" % (encode(group.first), encode(group.last), group.cost), lines, b"]"))
        line = sums(rest), b" ", rest, b"\n"
        size = len(line[0]) + len(rest) + 2
        if os.pwritev(self._part.file, line, self.size) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += size
        self._part.take(group.first, group.last, group.cost, lines, size)

    def roll(self) -> Part | None:
        """What was appended since the last time; what comes next goes to another file."""
        part, self._part, self.size = self._part, None, 0
        return part

    def _next(self) -> Part:
        """Whoever looks for the files of the dead between the two steps locks or removes an empty one: then another is
        made."""
        while True:
            self._generation += 1
            path = self._path.with_name(f"{self._path.name}{MARK}{self._owner}-{self._generation}")
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_nlink:
                    return Part(self._owner, self._generation, path, file)
            os.close(file)


def found(path: Path) -> list[tuple[str, int, Path]]:
    """The journals' files of a ledger, whoever writes them: owner, generation, path; in order."""
    files = []
    for file in path.parent.glob(f"{path.name}{MARK}*-*"):
        owner, _, generation = file.name.partition(MARK)[2].rpartition("-")
        if generation.isdecimal():  # else somebody's copy
            files.append((owner, int(generation), file))
    return sorted(files)


def orphans(path: Path) -> list[Part]:
    """The files whose process has died, locked for us."""
    parts = []
    for owner, generation, file in found(path):
        try:
            opened = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another has brought it in
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)  # its process lives
            continue
        part = Part(owner, generation, file, opened)
        for entry in entries(os.pread(opened, os.fstat(opened).st_size, 0)):
            part.take(entry.first, entry.last, entry.cost, entry.rows[1:-1], len(entry.rows))
        parts.append(part)
    return parts


def held(path: Path) -> list[tuple[str, int, Sequence[Entry]]]:
    """What is in the journals of a ledger now, by owner and generation."""
    parts: list[tuple[str, int, Sequence[Entry]]] = []
    for owner, generation, file in found(path):
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue  # it has been brought in
        parts.append((owner, generation, list(entries(content))))
    return parts


def entries(content: bytes) -> Iterator[Entry]:
    """The sound lines; a last one that is not whole was never acknowledged."""
    *lines, _ = content.split(b"\n")
    for number, line in enumerate(lines):
        rest = _summed(line[9:], line[:8]) if line[8:9] == b" " else None
        if rest is None:
            rest = _proven(line)
        if rest is not None:
            first, last, cost, rows = rest.split(b" ", 3)
            yield Entry(float(first), float(last), int(cost), rows)
        elif number < len(lines) - 1:  # else: what is left of one that did not fit
            logger.warning("a line of the ledger's journal is damaged and lost")


def _proven(line: bytes) -> bytes | None:
    """What follows a line's sums, if it is sound or can be mended; the whole line's length tells theirs."""
    width = -(-(len(line) - 1) // (PIECE + WIDTH)) * WIDTH
    return proven(line[width + 1 :], line[:width])


def _summed(rest: bytes, checksum: bytes) -> bytes | None:
    """The same of a line with a checksum, as older releases wrote it."""
    try:
        told = int(checksum, 16)
    except ValueError:
        return None
    return rest if zlib.crc32(rest) == told else repaired(rest, told)
