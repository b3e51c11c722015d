"""A gateway in front of a gateway, and the clients' own environments, which `make clients-ready` installs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from experts.base import Expert
from experts.card import Card, Price
from experts.openai_http import OpenAIHTTP
from experts.scripted import Scripted
from tests.clients.performer import perform
from tests.gateway.conftest import KEY, Served, make_door, serving

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
CARD = Card(tools=True, context=200_000, price=Price(prompt=1.0, completion=2.0))
SECONDS = 120


class Client:
    """Runs programs against a gateway, each in the environment its library needs."""

    def __init__(self, served: Served, home: Path) -> None:
        self.served, self.home = served, home

    async def run(self, program: str, environment: str = ".venv-clients") -> Any:
        """What a program of `programs/` printed, as JSON."""
        interpreter = REPOSITORY / environment / "bin" / "python"
        return json.loads(await self.command(str(interpreter), str(PROGRAMS / program)))

    async def command(self, *command: str, **variables: str) -> str:
        """What a command printed; it must end well."""
        url = f"{self.served.url}/v1"
        known = {"OPENAI_BASE_URL": url, "OPENAI_API_BASE": url, "OPENAI_API_KEY": KEY, "LYCEUM_URL": self.served.url}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**kept, **known, "HOME": str(self.home), "NO_COLOR": "1", **variables},
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()[-4000:]
        return out.decode()


def behind(folder: Path, url: str) -> list[Expert]:
    """An expert that is a gateway itself."""
    return [OpenAIHTTP("performer", CARD, url=f"{url}/v1", model="auto", key=KEY)]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a gateway whose expert is another gateway's, over HTTP all the way."""
    folders = [tmp_path / name for name in ("back", "front", "home")]
    for folder in folders:
        folder.mkdir()
    async with (
        serving(make_door(folders[0], [Scripted("performer", CARD, answer=perform)])) as back,
        serving(make_door(folders[1], behind(folders[1], back.url))) as front,
    ):
        yield Client(front, folders[2])
