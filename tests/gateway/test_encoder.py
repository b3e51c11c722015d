"""The encoder in a process of its own: same vectors, never a failed or a stalled request, no orphan."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from experts.base import SetupError
from experts.child import Address
from gateway.encoder import EncoderClient, EncoderProcess
from routers.encoders import MiniLM
from tests.gateway.conftest import make_door, scripted, serving

STATE = Path(__file__).parents[2] / "state"
SLOW = {"use": "tests.gateway.slow_encoder:Slow"}


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def encoding(client: EncoderClient, **table: Any) -> AsyncIterator[EncoderProcess]:
    """A running process and a client that reaches it."""
    process = EncoderProcess({**SLOW, **table}, client.attend)
    process.child.restart_seconds = (0.01, 0.1)
    await process.start()
    try:
        yield process
    finally:
        await client.attend(None)
        await process.stop()


def pid(process: EncoderProcess) -> int:
    running = process.child._process
    assert running is not None
    return running.pid


async def test_vectors_are_those_of_the_encoder_in_process():
    encoder = MiniLM(str(STATE / "encoder"), str(STATE / "weights"))
    texts = ["What is 17 * 23?", "", "the sea " * 500, "half a \ud800 surrogate", "Straße 東京"]
    client = EncoderClient(20.0, encoder.characters)
    table = {"use": "routers.encoders:MiniLM", "folder": str(encoder.folder), "weights": str(encoder.weights)}
    process = EncoderProcess(table, client.attend)
    await process.start()
    vectors = await asyncio.gather(*map(client.embed, texts))
    memory = psutil.Process(pid(process)).memory_info().rss
    await client.attend(None)
    await process.stop()

    assert np.abs(np.array(vectors) - encoder.encode(texts)).max() < 1e-5
    assert memory < 400e6


async def test_the_socket_is_for_this_user_alone_and_leaves_nothing():
    client = EncoderClient(1.0)
    async with encoding(client) as process:
        folder = process.folder
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "socket")]
        niceness = psutil.Process(pid(process)).nice()
        session = Path(f"/proc/{pid(process)}/autogroup")
        weighed = session.read_text().split()[-1] if session.exists() else "15"

    assert modes == [0o700, 0o600]
    assert niceness >= 15
    assert weighed == "15", "where Linux weighs sessions against each other, its own is nice, too"
    assert not folder.exists()


async def test_a_text_whose_turn_would_come_too_late_is_given_up_and_never_encoded(tmp_path):
    client = EncoderClient(0.5)
    async with encoding(client, seconds=0.3, log=str(tmp_path / "log")):
        found = await asyncio.gather(*(client.embed(f"{'x' * 2**place} {place}") for place in range(10)))
        at_once = await asyncio.gather(*(client.embed(f"{'x' * 2**place} {place}") for place in range(10)))
        await asyncio.sleep(0.7)

    seen = (tmp_path / "log").read_text().splitlines()
    assert found[0] is not None
    assert found[-1] is None
    assert at_once[-1] is None
    assert len(seen) < 10


async def test_texts_are_encoded_one_by_one_in_the_order_in_which_they_came(tmp_path):
    client = EncoderClient(5.0)
    async with encoding(client, log=str(tmp_path / "log")):
        await asyncio.gather(*(client.embed(text) for text in ("first", "a" * 50, "b" * 200, "c" * 55, "d" * 210)))

    assert (tmp_path / "log").read_text().split("\n") == ["5", "50", "200", "55", "210", ""]


async def test_a_killed_encoder_fails_nobody_and_comes_back():
    client = EncoderClient(5.0)
    async with encoding(client, seconds=0.3) as process:
        asked = asyncio.create_task(client.embed("under way"))
        await asyncio.sleep(0.1)
        before = pid(process)
        os.kill(before, signal.SIGKILL)
        assert await asked is None
        assert await client.embed("meanwhile") is None
        await until(lambda: client.transport is not None)
        assert pid(process) != before
        assert await client.embed("again") is not None


async def test_a_connection_that_is_lost_is_made_again():
    client = EncoderClient(5.0)
    async with encoding(client):
        before = client.transport
        assert before is not None
        before.abort()
        await until(lambda: client.transport not in (None, before))
        assert await client.embed("again") is not None


async def test_a_request_is_answered_without_its_vector_and_its_decision_says_so(tmp_path):
    door = make_door(tmp_path, [scripted("first", "one")])
    client = EncoderClient(0.1)
    door.school.encoder = client
    async with serving(door) as served, encoding(client, seconds=0.3):
        late = await served.ask()
        client.seconds = 5.0
        early = await served.ask()
        again = await served.ask()

    whys = [row["why"] for row in served.ledger("decisions")]
    assert [answer.status_code for answer in (late, early, again)] == [200, 200, 200]
    assert [("too late" in why) for why in whys] == [True, False, False]
    assert door.metrics.vectors == {("late",): 1, ("made",): 1}


async def test_an_encoder_that_dies_during_a_request_fails_no_request(tmp_path):
    """Row 39 and its like: what helps to decide may fail, the request may not."""
    door = make_door(tmp_path, [scripted("first", "one")])
    client = EncoderClient(5.0)
    door.school.encoder = client
    async with serving(door) as served, encoding(client, seconds=1.0) as process:
        asked = asyncio.create_task(served.ask())
        await until(lambda: client.waiting)
        os.kill(pid(process), signal.SIGKILL)
        answer = await asked

    assert answer.status_code == 200
    assert "too late" in served.ledger("decisions")[0]["why"]


async def test_a_vector_that_is_known_needs_no_encoder(tmp_path):
    door = make_door(tmp_path, [scripted("first", "one")])
    client = EncoderClient(5.0)
    door.school.encoder = client
    async with serving(door) as served:
        async with encoding(client):
            await served.ask()
        assert (await served.ask()).status_code == 200

    assert "too late" not in served.ledger("decisions")[1]["why"]


async def test_nothing_is_waited_for_where_no_encoder_listens(tmp_path):
    client = EncoderClient(0.05)
    async with asyncio.timeout(10):
        await client.attend(Address(f"unix://{tmp_path}/nobody", "", 0))
        assert await client.embed("hi") is None
        await client.attend(None)


@pytest.mark.parametrize("table", [{"use": "routers.encoders:MiniLM", "folder": "/proc/none", "weights": "/proc/none"}])
async def test_an_encoder_that_cannot_start_is_one_line(table):
    process = EncoderProcess(table, EncoderClient(1.0).attend)
    with pytest.raises(SetupError, match="encoder"):
        await process.start()
    await process.stop()
