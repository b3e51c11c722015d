"""What runs once a host and is asked by every worker: the servers of local models, and the encoder's process."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from experts.base import Startable
from experts.child import Address
from experts.cpu import Crowd
from gateway.config import Builder, Config
from gateway.encoder import EncoderProcess
from gateway.shelf import unnamed

Hear = Callable[[str, Address | None], None]
"""Is told a part's name and where it answers from now on; `None` is nowhere."""

ROWS, PLACES = 128, 512
"""Parts, and workers of the old and the new configuration."""
BYTES = ROWS * PLACES * 4
NUMBERS = itertools.count()
"""One a part, while the parent lives."""

ENCODER = "[encoder]"
"""The encoder's name among the parts: no expert's, since a table of TOML is not called so."""


class Sharable(Startable, Protocol):
    """An expert of which one process starts the server and others only ask it."""

    moved: Callable[[Address | None], None]

    async def attend(self, address: Address | None) -> None: ...

    def join(self, crowd: Crowd) -> None: ...


class Crowds:
    """Memory that the parent and all workers see: for each part a row, with a place for each worker."""

    def __init__(self, file: int) -> None:
        """`file` is an open one of BYTES."""
        self.file = file
        self.numbers = memoryview(mmap.mmap(file, BYTES)).cast("i")

    @classmethod
    def new(cls) -> Crowds:
        """In a file without a name."""
        return cls(unnamed(BYTES))

    def row(self, part: int) -> memoryview[int]:
        """The row of a part."""
        start = part % ROWS * PLACES
        return self.numbers[start : start + PLACES]

    def leave(self, place: int) -> None:
        """A worker ended, and its requests with it."""
        for row in range(ROWS):
            self.numbers[row * PLACES + place] = 0


class Part:
    """One of them, and those who want to know where it answers. `made_of` says when a changed file means another."""

    def __init__(self, name: str, made_of: Any) -> None:
        self.name, self.made_of = name, made_of
        self.row = next(NUMBERS)
        self.address: Address | None = None
        self.hearers: set[Hear] = set()
        self.runs: Startable | None = None

    def moved(self, address: Address | None) -> None:
        """Tells everybody."""
        self.address = address
        for hear in tuple(self.hearers):
            hear(self.name, address)

    async def changed(self, address: Address | None) -> None:
        """The same, for who waits for it."""
        self.moved(address)

    async def start(self) -> None:
        """Starts it, the first time. Raises SetupError."""
        if self.runs is not None:
            await self.runs.start()

    async def stop(self) -> None:
        """Ends it."""
        if self.runs is not None:
            await self.runs.stop()


def parts(settings: Config, running: Mapping[str, Part]) -> dict[str, Part]:
    """The parts of a configuration by name; one that is the same as a running one is that one. Raises SetupError."""
    found: dict[str, Part] = {}
    for name, expert in Builder(settings).experts().items():
        if sharable(expert):
            part = Part(name, (settings.experts[name], settings.state))
            part.runs = runs = cast(Sharable, expert)
            runs.moved = part.moved
            found[name] = part
    if settings.encoder is not None:
        part = found[ENCODER] = Part(ENCODER, settings.encoder)
        part.runs = EncoderProcess(settings.encoder, part.changed)
    return {name: kept(part, running.get(name)) for name, part in found.items()}


def kept(part: Part, running: Part | None) -> Part:
    """The running one, if it is the same."""
    return running if running is not None and running.made_of == part.made_of else part


def sharable(expert: Any) -> bool:
    """Whether several workers can ask one that the parent started."""
    return hasattr(expert, "attend")
