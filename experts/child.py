"""A child process that serves on loopback or a Unix socket: started, watched, restarted if it fails, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from experts.base import SetupError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a child answers, and the bearer key that only we know."""

    url: str
    key: str = field(repr=False)
    pid: int


@dataclass(slots=True)
class Child:
    """`command` prints one JSON line `{"url"}` or `{"error"}` and ends when its standard input does.

    `changed` hears the address when the child is ready, and `None` when it is gone. `ticked` is called about
    once in `tick` seconds while it runs."""

    name: str
    command: Sequence[str]
    changed: Callable[[Address | None], Awaitable[None]]
    ticked: Callable[[], None] = lambda: None
    start_seconds: float = 120.0
    restart_seconds: tuple[float, float] = (1.0, 30.0)
    """The first pause before a restart and the longest; each is twice the one before."""
    probe_seconds: float = 10.0
    strikes: int = 3
    """A child that misses so many probes in a row hangs, and is killed."""
    tick: float = 1.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Passes the time before a restart."""
    _process: asyncio.subprocess.Process | None = None
    _watch: asyncio.Task[None] | None = None
    _listener: asyncio.Task[str] | None = None
    _pause: float = 0.0

    async def start(self) -> None:
        """Waits until the child is ready. Raises SetupError if its first start fails."""
        if self._watch is not None:
            return
        address = await self._launch()
        await self.changed(address)
        self._watch = asyncio.create_task(self._supervise(address))

    async def stop(self) -> None:
        """Ends the child; it has nothing to save."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        self._watch = None
        await self._end()

    async def _supervise(self, address: Address) -> None:
        while True:
            since = time.monotonic()
            await self._until_gone(address)
            await self.changed(None)
            if time.monotonic() - since > self.restart_seconds[1]:
                self._pause = 0.0
            address = await self._relaunch()
            await self.changed(address)

    async def _relaunch(self) -> Address:
        first, longest = self.restart_seconds
        while True:
            self._pause = min(2 * self._pause, longest) or first
            await self.sleep(self._pause)
            with contextlib.suppress(SetupError):
                return await self._launch()

    async def _until_gone(self, address: Address) -> None:
        assert self._process is not None
        signs = asyncio.create_task(self._process.wait()), asyncio.create_task(self._until_hung(address))
        try:
            while not any(sign.done() for sign in signs):
                await asyncio.wait(signs, timeout=self.tick, return_when=asyncio.FIRST_COMPLETED)
                self.ticked()
        finally:
            for sign in signs:
                sign.cancel()
            await self._end()

    async def _until_hung(self, address: Address) -> None:
        missed = 0
        while missed < self.strikes:
            await asyncio.sleep(self.probe_seconds)
            missed = 0 if await self._answers(address) else missed + 1

    async def _answers(self, address: Address) -> bool:
        """Whether the child says anything at all: a busy one still does."""
        place = urlsplit(address.url)
        try:
            async with asyncio.timeout(self.probe_seconds):
                unix = place.scheme == "unix"
                opened = asyncio.open_unix_connection(place.path) if unix else None
                reader, writer = await (opened or asyncio.open_connection(place.hostname, place.port))
                try:
                    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                    return bool(await reader.readline())
                finally:
                    writer.close()
        except OSError:  # TimeoutError is one
            return False

    async def _launch(self) -> Address:
        key, pipe = secrets.token_urlsafe(24), asyncio.subprocess.PIPE
        environment = os.environ | {"LYCEUM_CHILD_KEY": key}
        try:
            # A session of its own: Ctrl-C ends us first, in order, and the child with us.
            self._process = process = await asyncio.create_subprocess_exec(
                *self.command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
            )
        except OSError as error:
            raise SetupError(f"{self.name}: cannot start a process: {error.strerror}") from error
        try:
            return Address(await self._first_line(process), key, process.pid)
        except BaseException:
            await self._end()
            raise

    async def _first_line(self, process: asyncio.subprocess.Process) -> str:
        """The address that the child prints when it is ready. Raises SetupError."""
        assert process.stdout is not None
        assert process.stderr is not None
        self._listener = listener = asyncio.create_task(_last_line(process.stderr))
        try:
            async with asyncio.timeout(self.start_seconds):
                line = await process.stdout.readline() or json.dumps({"error": await listener}).encode()
        except TimeoutError as error:
            raise SetupError(f"{self.name}: not ready in {self.start_seconds:.0f} s; raise start_seconds") from error
        said = json.loads(line)
        if "url" not in said:
            raise SetupError(
                f"{self.name}: the local server did not start: {said['error'] or 'it ended without a word'}"
            )
        return str(said["url"])

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if self._listener is not None:
            await self._listener
        await process.communicate()  # waits, and closes the pipes


async def _last_line(stream: asyncio.StreamReader) -> str:
    """Drains standard error, else a full pipe would stop the child; its last line tells why it ended."""
    tail = b""
    while block := await stream.read(1 << 16):
        tail = (tail + block)[-1000:]
    return (tail.decode(errors="replace").strip().splitlines() or [""])[-1]
