"""A school of scripted experts behind a real server on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from experts.base import Expert
from experts.card import Card, Price
from experts.scripted import Scripted
from gateway.auth import Keys, digest
from gateway.books import Books
from gateway.config import Config, Server
from gateway.handlers import Door
from gateway.openapi import document
from gateway.school import School
from gateway.serve import listening
from gateway.server import Server as HTTPServer
from policies.base import Policy
from policies.ledger import Ledger
from policies.pick import Utility
from routers.base import Estimate
from tests.gateway.watched import Watched

KEY, OTHER = "lyc-test-key", "lyc-other-key"
CARD = Card(tools=True, price=Price(prompt=1.0, completion=2.0))


class Ranked:
    """A router that likes experts in the order in which the catalog names them."""

    def estimate(self, request: Any, catalog: Any, outcomes: Any) -> dict[str, Estimate]:
        return {
            name: Estimate(name, max(0.0, 0.9 - 0.1 * place), 0.05, 1000, 2000, 1.0)
            for place, name in enumerate(catalog)
        }


def scripted(name: str, answer: Any = "hello", **about: Any) -> Scripted:
    """An expert with a price and tools."""
    return Scripted(name, CARD, answer=answer, **about)


def make_door(folder: Path, experts: Sequence[Expert], policy: Policy | None = None, **named: Policy) -> Door:
    """A door in front of the experts, its ledger in `folder`."""
    books = Books(Ledger.open(folder / "ledger.sqlite"))
    chosen = policy or Utility(usd_per_quality=1.0)
    school = School({expert.name: expert for expert in experts}, Ranked(), chosen, books, named)
    return Door(school, Keys({"me": digest(KEY), "other": digest(OTHER)}), ready=True)


@dataclass
class Served:
    """A running gateway and clients for it."""

    url: str
    door: Door
    clients: list[Any] = field(default_factory=list)
    theirs: tuple[str, ...] = ()
    """Complaints about answers that an expert is made to give so: it passes what it is, and nobody else may."""

    def openai(self, key: str = KEY) -> openai.AsyncOpenAI:
        client = openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)
        self.clients.append(client)
        return client

    def http(self, key: str | None = KEY) -> httpx2.AsyncClient:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        client = httpx2.AsyncClient(base_url=self.url, headers=headers)
        self.clients.append(client)
        return client

    async def ask(self, **body: Any) -> httpx2.Response:
        """POST /v1/chat/completions with a usual body."""
        usual = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        return await self.http().post("/v1/chat/completions", json=usual | body)

    def ledger(self, table: str) -> list[dict[str, Any]]:
        return list(self.door.school.books.ledger.rows(table))


@asynccontextmanager
async def serving(door: Door, **server: Any) -> AsyncIterator[Served]:
    """The door behind a real server on a free port of loopback."""
    config = Config({}, {}, {}, server=Server(port=0, **server))
    with listening(config) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        http = HTTPServer(config, door)
        about: dict[str, Any] = {"wrong": [], "document": document(door.handlers())}
        http.config.http = type("Heard", (Watched,), about)  # every answer of every test is checked as it goes out
        task = asyncio.create_task(http.serve(sockets=[listener]))
        served = Served(f"http://127.0.0.1:{port}", door)
        try:
            yield served
        finally:
            for client in served.clients:
                await (client.close() if isinstance(client, openai.AsyncOpenAI) else client.aclose())
            http.should_exit = True
            await task
            await door.stop()
        ours = [each for each in about["wrong"] if not any(excused in each for excused in served.theirs)]
        assert not ours, "\n".join(ours[:5])


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Two experts that answer."""
    experts = [scripted("first", "one two three"), scripted("second", "four")]
    async with serving(make_door(tmp_path, experts)) as running:
        yield running


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
