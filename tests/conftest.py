"""What all rooms share: no test reaches further than loopback, and one real small language model for the session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from experts.child import Address
from experts.llamacpp import LlamaCppExpert
from tests.models import FOLDER, SMALL, SMALL_CARD

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def _refuse_the_world(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    if not host.startswith(LOOPBACK):
        raise PermissionError(f"a test wants to reach {host}; tests stay on loopback")


sys.addaudithook(_refuse_the_world)


@pytest.fixture(scope="session")
def small_weights() -> Path:
    """The 0.5B model's file, fetched once by a process of its own if it is not there."""
    subprocess.run([sys.executable, "-m", "experts.weights", "fetch", SMALL, "--folder", str(FOLDER)], check=True)
    return FOLDER / f"{SMALL}.gguf"


@pytest.fixture(scope="session")
def small_server(small_weights: Path) -> Iterator[Address]:
    """One real llama.cpp server for the whole session, of 2 x 2048 tokens: keep max_tokens <= 32, temperature 0."""
    command = [sys.executable, "-m", "experts.llamacpp_server", "--model", str(small_weights), "--context", "2048"]
    environment = os.environ | {"LYCEUM_CHILD_KEY": "session"}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=environment) as process:
        assert process.stdout is not None
        yield Address(json.loads(process.stdout.readline())["url"], "session", process.pid)
        process.kill()


@pytest.fixture
async def small_model(small_server: Address) -> AsyncIterator[LlamaCppExpert]:
    """The expert `small` in front of the session's server: ready at once, and never to be killed by a test."""
    expert = LlamaCppExpert("small", SMALL_CARD, weights=SMALL, folder=str(FOLDER))
    await expert.attend(small_server)
    yield expert
    await expert.stop()
