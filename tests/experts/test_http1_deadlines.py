"""Deadlines, back-pressure and caps of the HTTP/1.1 client: nothing hangs, nothing grows."""

import asyncio
import os
import socket

import pytest

from experts.http1 import Client
from experts.http1_exchange import ConnectFailed, Deadlines, ProtocolBroken, TimedOut
from tests.experts.raw import STREAM_HEAD as HEAD
from tests.experts.raw import answer, client_of, get, none_open, serving, silent, stall


async def drip_head(talk):
    await talk.request()
    await talk.say(*[b"%c" % byte for byte in answer(b"x" * 1000)], pause=0.01)


async def head_then_silence(talk):
    await talk.request()
    await talk.say(HEAD)
    await talk.closed()


async def drip_body(talk):
    await talk.request()
    await talk.say(HEAD)
    while True:
        await talk.say(b"1\r\na\r\n", pause=0.01)


@pytest.mark.parametrize(
    ("handler", "seconds", "stage"),
    [
        (silent, {"first": 0.05}, "first"),
        (drip_head, {"first": 0.05}, "first"),
        (head_then_silence, {"first": 0.05}, "first"),
        (stall, {"idle": 0.05}, "idle"),
        (drip_body, {"idle": 0.05, "total": 0.15}, "total"),
        (silent, {"total": 0.05}, "total"),
    ],
)
async def test_each_deadline_ends_what_it_is_for(handler, seconds, stage):
    """Rows 5 and 6."""
    async with serving(handler) as server:
        client = client_of(server, connections=1)
        async with asyncio.timeout(3):
            with pytest.raises(TimedOut) as caught:
                await get(client, **seconds)
        assert caught.value.stage == stage
        assert client.free_slots == 1
        await none_open(server)
        await client.aclose()


async def test_waiting_for_a_free_connection_counts_as_connecting():
    async with serving(silent) as server:
        client = client_of(server, connections=1)
        first = asyncio.create_task(get(client))
        await asyncio.sleep(0.02)
        with pytest.raises(TimedOut) as caught:
            await get(client, connect=0.05)
        assert caught.value.stage == "connect"
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert client.free_slots == 1
        await client.aclose()


async def test_a_host_that_takes_no_connection_meets_the_connect_deadline():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        client = Client(f"http://127.0.0.1:{full.getsockname()[1]}", connections=1)
        with pytest.raises((TimedOut, ConnectFailed)):
            await get(client, connect=0.05)
        while client.free_slots == 0:
            await asyncio.sleep(0.001)
        await client.aclose()
        for filler in fillers:
            filler.close()


async def test_a_slow_reader_slows_the_server_and_gets_everything():
    """Row 22: what waits for the reader is bounded."""
    sent, size = 0, 64 * 1024 * 1024

    async def handler(talk):
        nonlocal sent
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await talk.say(b"x" * 65536)
            sent += 65536
        await talk.closed()

    async with serving(handler) as server:
        client = client_of(server)
        async with client.request("GET", "/", {}) as response:
            await asyncio.sleep(0.2)
            assert sent < size // 2
            assert sum([len(piece) async for piece in response]) == size
        assert (sent, client.free_slots) == (size, 256)
        await client.aclose()


async def test_the_idle_deadline_rests_while_the_reader_does():
    async def handler(talk):
        await talk.request()
        await talk.say(HEAD, b"40000\r\n" + b"x" * 0x40000 + b"\r\n")
        await asyncio.sleep(0.2)
        await talk.say(b"1\r\na\r\n0\r\n\r\n")
        await talk.closed()

    async with serving(handler) as server:
        client = client_of(server)
        async with client.request("GET", "/", {}, deadlines=Deadlines(idle=0.1)) as response:
            await asyncio.sleep(0.4)
            assert len(await response.read()) == 0x40001
        await client.aclose()


async def test_a_large_request_goes_out_as_the_server_takes_it():
    body = os.urandom(1024) * 20_000

    async def handler(talk):
        await asyncio.sleep(0.1)
        _, got = await talk.request()
        await talk.say(answer(b"same" if got == body else b"other"))
        await talk.request()
        await talk.say(answer(b"next"))

    async with serving(handler) as server:
        client = client_of(server)
        assert await get(client, body) == b"same"
        assert await get(client, b"y") == b"next"
        assert server.seen == 1
        await client.aclose()


async def test_an_early_refusal_of_a_large_request_is_heard_and_its_connection_is_not_used_again():
    async def handler(talk):
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.say(answer(b"too much", b"413 Content Too Large"))
        await talk.closed()

    async with serving(handler, limit=1024) as server:
        client = client_of(server)
        for _ in range(2):
            async with client.request("POST", "/", {}, b"x" * 50_000_000) as response:
                assert (response.status, await response.read()) == (413, b"too much")
        assert server.seen == 2
        await client.aclose()


async def test_what_was_let_to_end_and_does_not_is_closed():
    async with serving(stall) as server:
        client = client_of(server)
        async with client.request("GET", "/", {}) as response:
            await anext(response)
            response.let_end(0.02)
        await none_open(server)
        assert client.free_slots == 256
        await client.aclose()


async def test_an_answer_longer_than_its_cap_is_cut_off():
    """Row 12."""

    async def handler(talk):
        await talk.request()
        await talk.say(HEAD)
        while True:
            await talk.say(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    async with serving(handler) as server:
        client = client_of(server)
        async with client.request("GET", "/", {}) as response:
            with pytest.raises(ProtocolBroken, match="too large"):
                await response.read(1_000_000)
        async with client.request("GET", "/", {}) as response:
            await asyncio.sleep(0.05)
            with pytest.raises(ProtocolBroken, match="too large"):
                await response.read(1)
        await client.aclose()
