"""An answer under a head that came before is taken without a parser, and is the same answer."""

import asyncio

import pytest

from experts.http1_exchange import Deadlines, ProtocolBroken
from tests.experts.raw import answer, client_of, get, none_open, serving


def saying(*answers: bytes):
    """A server that gives one answer after another."""
    left = list(answers)

    async def handler(talk):
        while True:
            await talk.request()
            await talk.say(left.pop(0) if len(left) > 1 else left[0])

    return handler


def dated(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: %d\r\nX-A: b\r\n%b\r\n%b" % (len(body), more, body)


async def test_answers_of_any_length_under_the_same_head_are_told_apart():
    bodies = [b"a" * size for size in (5, 11, 1, 5, 1000, 3)]
    async with serving(saying(*map(dated, bodies))) as server:
        client = client_of(server)
        assert [await get(client) for _ in bodies] == bodies
        assert client.known is not None
        assert client.unlike == 0
        async with client.request("GET", "/", {}) as response:
            assert sorted(response.headers) == [(b"content-length", b"3"), (b"date", b"now"), (b"x-a", b"b")]
            assert await response.read() == b"aaa"
        await client.aclose()
        await none_open(server)


@pytest.mark.parametrize(
    "other", [dated(b"", b""), dated(b"xyz", b"X-B: c\r\n"), dated(b"xyz", b"Connection: close\r\n")]
)
async def test_another_head_goes_to_the_parser(other):
    async with serving(saying(dated(b"one"), dated(b"two"), other, dated(b"three"))) as server:
        client = client_of(server)
        got = [await get(client) for _ in range(4)]
        assert got == [b"one", b"two", other.partition(b"\r\n\r\n")[2], b"three"]
        await client.aclose()
        await none_open(server)


async def test_an_answer_with_more_behind_it_is_not_taken_for_one():
    async with serving(saying(dated(b"one"), dated(b"two") + dated(b"no"), dated(b"three"))) as server:
        client = client_of(server)
        assert [await get(client) for _ in range(3)] == [b"one", b"two", b"three"]
        assert server.seen == 2
        await client.aclose()


async def test_heads_that_are_never_the_same_are_seldom_learned():
    answers = [dated(b"x", b"X-Id: %d\r\n" % number) for number in range(100)]
    async with serving(saying(*answers)) as server:
        client = client_of(server)
        seen = set()
        for _ in answers:
            assert await get(client) == b"x"
            seen.add(client.known and client.known.after)
        assert 2 <= len(seen) < 40
        await client.aclose()


class Mistaken:
    """A sink with a bug."""

    def __init__(self) -> None:
        self.error: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def on_head(self, status, headers):
        raise ValueError("a bug")

    def on_data(self, data):
        pass

    def on_end(self):
        pass

    def on_error(self, error):
        self.error.set_result(error)


async def test_a_sink_with_a_bug_ends_its_exchange_also_under_a_known_head():
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    async with serving(saying(answer(b"x"))) as server:
        client = client_of(server)
        assert [await get(client) for _ in range(2)] == [b"x"] * 2
        sink = Mistaken()
        client.send(client.head("GET", "/", {}), b"", Deadlines(), sink)
        assert isinstance(await sink.error, ProtocolBroken)
        await client.aclose()
