"""An answer that begins with the very head of the one before is known by its bytes, and is all there."""

import pytest

from experts.http1_exchange import ClosedEarly, ProtocolBroken
from experts.http1_head import Whole
from tests.experts.raw import client_of, get, serving
from tests.experts.test_http1_head import dated, saying


async def test_the_very_head_that_came_before_needs_no_search_whatever_the_length():
    async with serving(saying(*(dated(b"x" * size) for size in (5, 7, 10, 99, 9, 1)))) as server:
        client = client_of(server)
        assert [len(await get(client)) for _ in range(3)] == [5, 7, 10]
        known, client.whole.known = client.whole.known, None
        assert len(await get(client)) == 99
        client.whole.known = known
        assert [len(await get(client)) for _ in range(2)] == [9, 1]
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
async def test_an_answer_is_whole_only_with_all_of_its_body_and_nothing_behind_it(parts, body):
    async def handler(talk):
        for each in ([FIFTY], [FIFTY], [FIFTY], parts):
            await talk.request()
            await talk.say(*each, pause=0.005)

    async with serving(handler) as server:
        client = client_of(server, connections=1)
        assert [await get(client) for _ in range(3)] == [b"x" * 50] * 3
        if isinstance(body, bytes):
            assert await get(client) == body
        else:
            with pytest.raises(body):
                await get(client)
        await client.aclose()


def test_heads_of_one_shape_that_are_never_the_same_are_seldom_kept():
    whole, kept = Whole(1000), set()
    whole.learn(plain(b"x"))
    for number in range(100):
        data = plain(b"x").replace(b"100%d", b"%d" % number)
        assert data[whole.like(data) :] == b"x"
        kept.add(whole.line)
    assert 32 < len(kept) < 40
