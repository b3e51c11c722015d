"""Nothing of a request waits for the garbage collector: long prompts would pile up meanwhile."""

import asyncio
import gc
from contextlib import asynccontextmanager

import pytest

from experts.base import Request
from experts.http1_connection import Connection as Upstream
from experts.openai_http import OpenAIHTTP
from gateway.limits import PARTING_SECONDS
from gateway.protocol import Connection
from tests.gateway.conftest import CARD, KEY, make_door, scripted, serving


def requests():
    return [each for each in gc.get_objects() if isinstance(each, Request)]


def connections():
    return [each for each in gc.get_objects() if isinstance(each, Connection | Upstream)]


@asynccontextmanager
async def gateways(tmp_path):
    """A gateway in front of a gateway."""
    folders = [tmp_path / "back", tmp_path / "front"]
    for folder in folders:
        folder.mkdir()
    async with serving(make_door(folders[0], [scripted("one", "two three")])) as back:
        expert = OpenAIHTTP("far", CARD, url=f"{back.url}/v1", model="auto", key=KEY)
        async with serving(make_door(folders[1], [expert])) as front:
            yield front


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answered_request_is_gone_at_once(tmp_path, stream):
    async with gateways(tmp_path) as front:
        gc.collect()
        gc.disable()
        others = requests()  # of tests before
        try:
            for _ in range(10):
                assert (await front.ask(stream=stream)).status_code == 200
            await asyncio.sleep(0.3)  # bookings gather for a moment
            kept = [each for each in requests() if not any(each is other for other in others)]
        finally:
            gc.enable()
    assert len(kept) <= 2, "at most what a kept connection was asked last"


async def test_a_connection_that_has_ended_is_gone_at_once(tmp_path):
    gc.collect()
    gc.disable()
    others = connections()
    try:
        async with gateways(tmp_path) as front:
            for stream in (False, True):
                assert (await front.ask(stream=stream)).status_code == 200
            assert len(connections()) > len(others), "they are kept for what comes"
        await asyncio.sleep(PARTING_SECONDS + 0.2)
        kept = [each for each in connections() if not any(each is other for other in others)]
    finally:
        gc.enable()
    assert kept == []
