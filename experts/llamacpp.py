"""A language model on this machine: starts and supervises a llama.cpp server and asks it as any OpenAI endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from experts.base import Chunk, ExpertError, Request, SetupError, Unavailable
from experts.card import Card
from experts.child import Address, Child
from experts.continuation import prefilled
from experts.cpu import CpuMeter, Crowd, Share, process_seconds
from experts.manifest import WEIGHTS
from experts.openai_http import Limits, OpenAIHTTP
from experts.weights import FOLDER, ORDER, fetch_apart

PATIENT = Limits(first_seconds=600.0, idle_seconds=120.0)
"""A whole answer is one first byte that comes at its end, and this machine is slow."""


@dataclass(slots=True, eq=False)
class LlamaCppExpert:
    """`weights` names an entry of `experts.manifest`, or the path of a GGUF file of the operator's own.

    One request costs the CPU seconds that it burnt, by `card.price.cpu_hour`, and its tokens by the card's other
    prices."""

    name: str
    card: Card
    _: KW_ONLY
    weights: str
    folder: str = FOLDER
    sources: Sequence[str] = ORDER
    parallel: int = 2
    """Requests that are answered at once, each a little slower."""
    threads: int = 1
    queue: int = 8
    """Requests that may wait; llama.cpp itself would let them wait for ever."""
    start_seconds: float = 120.0
    address: Address | None = field(default=None, init=False)
    """Where its server answers now."""
    moved: Callable[[Address | None], None] = field(default=lambda _: None, init=False)
    """Hears every new address: other processes may `attend` to the same server."""
    _child: Child | None = field(default=None, init=False)
    _client: OpenAIHTTP | None = field(default=None, init=False)
    _meter: CpuMeter = field(default_factory=CpuMeter, init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.parallel)

    @property
    def ready(self) -> bool:
        """Whether the server answers now."""
        return self._client is not None

    async def start(self) -> None:
        """Fetches the weights if they are not there, and waits until the model is loaded. Raises SetupError."""
        if self._child is not None:
            return
        path = await self._weights()
        self._child = Child(
            self.name, self._command(path), self.attend, self._meter.tick, start_seconds=self.start_seconds
        )
        try:
            await self._child.start()
        except BaseException:
            self._child = None
            raise

    async def stop(self) -> None:
        """Ends the server; requests in flight fail."""
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
        await self.attend(None)

    async def attend(self, address: Address | None) -> None:
        """The server answers there from now on, or nowhere."""
        client, self._client, self.address = self._client, None, address
        self._meter.leave()
        if client is not None:
            await client.stop()
        if address is not None:
            self._client = OpenAIHTTP(self.name, self.card, url=address.url, key=address.key, limits=PATIENT)
            self._meter.follow(partial(process_seconds, address.pid))
        self.moved(address)

    def join(self, crowd: Crowd) -> None:
        """Other processes ask the same server: its CPU seconds are shared with their requests too."""
        self._meter.crowd = crowd

    def continuation(self, request: Request, said: str) -> Request | None:
        """The request for the rest of an answer that broke off after `said`."""
        return prefilled(request, said, "prefill")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk]:
        """The answer; its last chunk carries the cost."""
        async with self._slot(request.deadline):
            share = self._meter.begin()
            try:
                async with contextlib.aclosing(self._chunks(request, share)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except ExpertError as error:
                self._meter.end(share)
                error.about["cost"] = (error.about.get("cost") or 0) + self._price(share)
                raise
            finally:
                self._meter.end(share)

    async def _chunks(self, request: Request, share: Share) -> AsyncGenerator[Chunk]:
        if self._client is None:
            raise _refusal("the local server is not running", 503, "upstream_unreachable")
        async for chunk in self._client.stream(request):
            # Every chunk says what the answer has cost so far: a client that leaves is charged what it used.
            self._meter.tick()
            yield replace(chunk, cost=(chunk.cost or 0) + self._price(share))

    def _price(self, share: Share) -> int:
        return self.card.price.cpu(share.seconds)

    @contextlib.asynccontextmanager
    async def _slot(self, deadline: float | None) -> AsyncIterator[None]:
        """One of the `parallel` places of the server; at most `queue` requests wait for one."""
        if self._slots.locked() and self._waiting >= self.queue:
            raise _refusal("the expert is overloaded", 503, "upstream_overloaded")
        self._waiting += 1
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                await self._slots.acquire()
        except TimeoutError as error:
            raise _refusal("the expert was busy until the deadline", 504, "upstream_timeout") from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _weights(self) -> Path:
        if self.weights in WEIGHTS:
            return await fetch_apart(self.weights, self.folder, self.sources)
        path = Path(self.weights).expanduser()
        if not path.is_file():
            known = ", ".join(sorted(WEIGHTS))
            raise SetupError(f"{self.name}: weights {self.weights!r} is neither a file nor one of {known}")
        return path

    def _command(self, model: Path) -> list[str]:
        numbers = {"context": self.card.context, "parallel": self.parallel, "threads": self.threads}
        command = [sys.executable, "-m", "experts.llamacpp_server", "--model", str(model), "--alias", self.name]
        return command + [word for key, value in numbers.items() for word in (f"--{key}", str(value))]


def _refusal(why: str, status: int, code: str) -> Unavailable:
    """The request was not begun, so it cost nothing, and a second later it may be."""
    return Unavailable(why, status=status, code=code, retry_after=1, cost=0)
