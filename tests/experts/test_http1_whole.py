"""An answer that begins with the very head of the one before is known by its bytes, and is all there."""

import asyncio
from typing import Any

import pytest

from experts import http1_head
from experts.http1_exchange import ClosedEarly, Deadlines, ProtocolBroken
from experts.http1_head import Whole
from tests.experts.raw import always, answer, client_of, get, serving
from tests.experts.test_http1_head import dated, saying
from tests.experts.test_http1_sink import Taker


async def take(client):
    """The same as `get`, of a sink that takes answers whole."""
    sink = Taker()
    client.send(client.head("POST", "/x", {}), b"", Deadlines(), sink)
    await sink.ended.wait()
    told: list[Any] = sink.told
    *parts, end = told if told[0] != 200 else told[1:]
    if isinstance(end, type):
        raise end(1) if end is ClosedEarly else end
    return b"".join(parts) if end == "end" else end


both = pytest.mark.parametrize("ask", [get, take])


@both
async def test_the_very_head_that_came_before_needs_no_search_whatever_the_length(ask):
    async with serving(saying(*(dated(b"x" * size) for size in (5, 7, 10, 99, 9, 1)))) as server:
        client = client_of(server)
        assert [len(await ask(client)) for _ in range(3)] == [5, 7, 10]
        known, client.whole.known = client.whole.known, None
        assert len(await ask(client)) == 99
        client.whole.known = known
        assert [len(await ask(client)) for _ in range(2)] == [9, 1]
        await client.aclose()


async def test_lengths_that_came_before_are_known_at_once_and_few_are_kept(monkeypatch):
    monkeypatch.setattr(http1_head, "MOST_HEADS", 3)
    sizes = [10, 11, 12, 10, 11, 12, 13, 99, 10, 100, 10]
    async with serving(saying(*(dated(b"x" * size) for size in [50, 50, *sizes]))) as server:
        client = client_of(server)
        await get(client)
        assert [len(await take(client)) for _ in range(2)] == [50, 10]
        for size in sizes[1:]:
            whole = client.whole
            whole.unlike = 7
            seen = len(dated(b"x" * size)) in whole.heads
            assert len(await take(client)) == size
            assert whole.unlike == (7 if seen else 0)
            assert len(whole.heads) <= 3
        await client.aclose()


async def test_one_that_waits_gets_the_connection_of_an_answer_that_was_taken_whole():
    async with serving(always(answer(b"abc"))) as server:
        client = client_of(server, connections=1)
        await get(client)
        assert [await take(client) for _ in range(3)] == [b"abc"] * 3
        assert await asyncio.gather(*(take(client) for _ in range(20))) == [b"abc"] * 20
        assert server.seen == 1
        await client.aclose()


def plain(body: bytes, more: bytes = b"", length: int | None = None) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nX-A: 100%%d\r\nContent-Length: %d\r\n%b\r\n"
    return head % (len(body) if length is None else length, more) + body


FIFTY = plain(b"x" * 50)


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([plain(b"x" * 99)], b"x" * 99),
        ([plain(b"x" * 100)], b"x" * 100),
        ([plain(b"x" * 9)], b"x" * 9),
        ([plain(b"")], b""),
        ([FIFTY[:-1]], ClosedEarly),
        ([FIFTY[:-1], b"y"], b"x" * 49 + b"y"),
        ([FIFTY + FIFTY], b"x" * 50),
        ([FIFTY + b"x"], ProtocolBroken),
        ([plain(b"x" * 9) + b"x"], ProtocolBroken),
        ([plain(b"x" * 99, length=100)], ClosedEarly),
        ([plain(b"x" * 99, length=100), b"y"], b"x" * 99 + b"y"),
        ([plain(b"x" * 50, b"Connection: close\r\n")], b"x" * 50),
        ([FIFTY.replace(b"100%", b"1%%d")], b"x" * 50),
        ([FIFTY.replace(b"200 OK", b"200 Ok")], b"x" * 50),
    ],
)
@both
async def test_an_answer_is_whole_only_with_all_of_its_body_and_nothing_behind_it(parts, body, ask):
    async def handler(talk):
        for each in ([FIFTY], [FIFTY], [FIFTY], parts):
            await talk.request()
            await talk.say(*each, pause=0.005)

    async with serving(handler) as server:
        client = client_of(server, connections=1)
        assert [await ask(client) for _ in range(3)] == [b"x" * 50] * 3
        if isinstance(body, bytes):
            assert await ask(client) == body
        else:
            with pytest.raises(body):
                await ask(client)
        await client.aclose()


def test_heads_of_one_shape_that_are_never_the_same_are_seldom_kept():
    whole, kept = Whole(1000), set()
    whole.learn(plain(b"x"))
    for number in range(100):
        data = plain(b"x").replace(b"100%d", b"%d" % number)
        assert data[whole.like(data) :] == b"x"
        kept.add(whole.line)
    assert 32 < len(kept) < 40
