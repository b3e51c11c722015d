"""The gateway's side of the encoder's process: starts and watches it, and asks it without ever waiting too long.

A request whose vector would come too late, or whose encoder died, gets none and is routed without: never an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from experts.child import Address, Child
from gateway.encoder_process import ANSWERED, ASKED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHARACTERS = 2048
"""What is sent of a text, unless the encoder says that it looks at less."""
SMOOTH = 0.1
"""The weight of the newest answer in what a text is expected to take."""
AGAIN_SECONDS = 0.2
START_SECONDS = 600.0
"""The first start may have to fetch the weights."""


class Embedder(Protocol):
    """Where requests get their vectors."""

    async def embed(self, text: str) -> NDArray[np.float32] | None:
        """The vector of a text; `None` if it cannot be had in time."""
        ...


class EncoderClient(asyncio.Protocol):
    """A connection to the encoder's process, of which each worker has one. `seconds` is how long a text may wait."""

    def __init__(self, seconds: float, characters: int = CHARACTERS) -> None:
        self.seconds, self.characters = seconds, characters
        self.transport: asyncio.Transport | None = None
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.number = 0
        self.buffer = bytearray()
        self.each = 0.0
        """Seconds between two answers while somebody waits: what others ask of the process is in it."""
        self.last = 0.0
        self.path: str | None = None
        self.dialling: asyncio.Task[None] | None = None

    async def attend(self, address: Address | None) -> None:
        """The process listens there from now on, or nowhere. Returns when it is reached."""
        self.path = None
        if self.dialling is not None:
            self.dialling.cancel()
        if self.transport is not None:
            self.transport.abort()
            self.transport = None
        if address is not None:
            self.path = urlsplit(address.url).path
            self.dialling = asyncio.create_task(self._dial(self.path))
            await asyncio.wait([self.dialling], timeout=self.seconds)

    async def _dial(self, path: str) -> None:
        while self.transport is None:
            try:
                await asyncio.get_running_loop().create_unix_connection(lambda: self, path)
            except OSError:
                await asyncio.sleep(AGAIN_SECONDS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        self.buffer.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Those who wait go on without; the process is dialled again until it is known to be gone."""
        self.transport = None
        if self.path is not None and (self.dialling is None or self.dialling.done()):
            self.dialling = asyncio.create_task(self._dial(self.path))
        for future in self.waiting.values():
            if not future.done():
                future.set_result(b"")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= ANSWERED.size:
            size, number = ANSWERED.unpack_from(self.buffer)
            end = ANSWERED.size + size
            if len(self.buffer) < end:
                return
            vector = bytes(self.buffer[ANSWERED.size : end])
            del self.buffer[:end]
            self.answered(number, vector)

    def answered(self, number: int, vector: bytes) -> None:
        """Hands a vector over; one that nobody waits for any more still tells how long texts take."""
        now = time.monotonic()
        took, self.last = now - self.last, now
        self.each += SMOOTH * (took - self.each) if self.each else took
        future = self.waiting.get(number)
        if future is not None and not future.done():
            future.set_result(vector)

    async def embed(self, text: str) -> NDArray[np.float32] | None:
        import numpy as np

        if self.transport is None or len(self.waiting) * self.each > self.seconds:
            return None
        now = time.monotonic()
        if not self.waiting:
            self.last = now
        self.number += 1
        number, future = self.number, asyncio.get_running_loop().create_future()
        body = text[: self.characters].encode("utf-8", "replace")
        self.waiting[number] = future
        self.transport.write(ASKED.pack(len(body), number, now + self.seconds) + body)
        try:
            async with asyncio.timeout(self.seconds):
                vector = await future
        except TimeoutError:
            return None
        finally:
            del self.waiting[number]
        return np.frombuffer(vector, np.float32) if vector else None


class EncoderProcess:
    """The one encoder of a host, started by whoever is the parent. `changed` hears where it answers, or `None`."""

    def __init__(self, table: Mapping[str, Any], changed: Callable[[Address | None], Awaitable[None]]) -> None:
        self.folder = Path(tempfile.gettempdir()) / f"lyceum-encoder-{secrets.token_hex(8)}"
        words = ("--table", json.dumps(dict(table)), "--socket", str(self.folder / "socket"))
        command = [sys.executable, "-P", "-m", "gateway.encoder_process", *words]
        self.child = Child("encoder", command, changed, start_seconds=START_SECONDS)

    async def start(self) -> None:
        """Waits until it answers. Raises SetupError."""
        self.folder.mkdir(0o700, exist_ok=True)
        await self.child.start()

    async def stop(self) -> None:
        """Ends it."""
        await self.child.stop()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
