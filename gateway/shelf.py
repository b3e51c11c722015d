"""Answers that wait for whoever bought them, in memory that all workers of a parent see; nothing of it is on any disk.

It is there for the time when the disk is full, and it outlives the worker that put something in.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

HEAD = struct.Struct("=QQ")
"""How many answers wait, and where the next one is put."""
PLACE = struct.Struct("=32sdQQL4x")
"""The digest of what was asked, until when it waits, where the answer lies, its bytes, their checksum."""
PLACES = 256
"""Answers that wait at most."""
ROOM = 16 * 1024 * 1024
"""Their bytes at most; memory is used for what lies there, and not before."""
TRIES, PAUSE = 50, 0.001
"""How often the lock is tried, so many seconds apart: it is held for some microseconds."""


class Waiting(Struct):
    """One answer that waits until a second of the machine's monotonic clock."""

    digest: bytes
    until: float
    start: int
    length: int
    checksum: int


class Shelf:
    """A ring of bytes, and before it what lies where. All workers change it under a lock, and a killed one leaves it
    as it was, or with an answer that its checksum gives away."""

    def __init__(self, file: int | None = None, places: int = PLACES, room: int = ROOM) -> None:
        """`file` is one of `unnamed(SIZE)`; without it this process is alone."""
        self.file, self.places, self.room = file, places, room
        self.begin = HEAD.size + places * PLACE.size
        self.memory = mmap.mmap(-1 if file is None else file, self.begin + room)
        self.waiting = memoryview(self.memory)[:8].cast("Q")
        """Has one number: 0 if nothing waits."""

    def put(self, digest: bytes, until: float, now: float, data: bytes) -> None:
        """Keeps an answer; the oldest make room, one that is too large is not kept."""
        if len(data) > self.room:
            return
        with suppress(BlockingIOError), self._alone():
            _, start = HEAD.unpack_from(self.memory)
            if start + len(data) > self.room:
                start = 0
            end = start + len(data)
            lie = [each for each in self._read(now) if each.start >= end or each.start + each.length <= start]
            self.memory[self.begin + start : self.begin + end] = data
            self._write([*lie[-self.places + 1 :], Waiting(digest, until, start, len(data), zlib.crc32(data))], end)

    def take(self, digest: bytes, now: float) -> bytes | None:
        """The answer that waits longest for who asked this, once."""
        data = None
        with suppress(BlockingIOError), self._alone():
            lie = self._read(now)
            for each in [each for each in lie if each.digest == digest]:
                lie.remove(each)
                start = self.begin + each.start
                data = self.memory[start : start + each.length]
                if zlib.crc32(data) == each.checksum:
                    break
                data = None
            self._write(lie, HEAD.unpack_from(self.memory)[1])
        return data

    def _read(self, now: float) -> list[Waiting]:
        """What waits still, the oldest first."""
        count = min(HEAD.unpack_from(self.memory)[0], self.places)
        index = self.memory[HEAD.size : HEAD.size + count * PLACE.size]
        lie = [Waiting(*values) for values in PLACE.iter_unpack(index)]
        return [each for each in lie if each.until > now and each.start + each.length <= self.room]

    def _write(self, lie: list[Waiting], start: int) -> None:
        for number, each in enumerate(lie):
            values = each.digest, each.until, each.start, each.length, each.checksum
            PLACE.pack_into(self.memory, HEAD.size + number * PLACE.size, *values)
        HEAD.pack_into(self.memory, 0, len(lie), start)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes it meanwhile; whoever is killed here lets go of it. Raises BlockingIOError if another has
        it for too long, as one that is stopped would."""
        if self.file is not None:
            self._lock(self.file)
        try:
            yield
        finally:
            if self.file is not None:
                fcntl.lockf(self.file, fcntl.LOCK_UN)

    @staticmethod
    def _lock(file: int) -> None:
        for _ in range(TRIES):
            with suppress(BlockingIOError):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(PAUSE)
        raise BlockingIOError


SIZE = HEAD.size + PLACES * PLACE.size + ROOM


def unnamed(size: int) -> int:
    """The number of an open file without a name, of so many bytes that no full disk takes away."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("lyceum")
        os.truncate(file, size)
        return file
    with tempfile.TemporaryFile() as kept:  # macOS: written, so that the disk has room for all of it
        kept.write(bytes(size))
        kept.flush()
        return os.dup(kept.fileno())
