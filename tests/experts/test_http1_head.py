"""An answer under a head that came before is taken without a parser, and is the same answer."""

import asyncio

import pytest

from experts.http1_exchange import Deadlines, ProtocolBroken, Sink
from experts.http1_head import shape
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
    answers = [dated(b"x", b"X-%d: id\r\n" % number) for number in range(100)]
    async with serving(saying(*answers)) as server:
        client = client_of(server)
        seen = set()
        for _ in answers:
            assert await get(client) == b"x"
            seen.add(client.known)
        assert 2 <= len(seen) < 40
        await client.aclose()


async def test_values_that_say_nothing_about_the_message_may_differ():
    heads = [(b"Mon, 1 Jan", b"a"), (b"Tue, 2 Jan", b"bb"), (b"Wed, 13 Feb", b"")]
    answers = [b"HTTP/1.1 200 OK\r\nDate: %b\r\nX-Id: %b\r\nContent-Length: 1\r\n\r\nx" % head for head in heads]
    async with serving(saying(*answers)) as server:
        client = client_of(server)
        for date, name in heads:
            async with client.request("GET", "/", {}) as response:
                assert dict(response.headers) == {b"date": date, b"x-id": name, b"content-length": b"1"}
                assert await response.read() == b"x"
        assert client.unlike == 0
        await client.aclose()


HEAD = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n"


OTHER_SHAPES = [
    (b"now", b"now\r\nTransfer-Encoding: chunked"),
    (b"now", b"now\r\n folded"),
    (b"now", b"n\0w"),
    (b"now", b"n\nConnection: close"),
    (b"now", b"n" * 2000),
    (b"a/b", b"a/c"),
    (b": 5", b": 05"),
    (b": 5", b": +5"),
    (b": 5", b": 555555555"),
    (b"200", b"500"),
    (b"HTTP/1.1", b"HTTP/1.0"),
    (b"\r\n\r\n", b"\r\n"),
]


@pytest.mark.parametrize(("before", "after"), OTHER_SHAPES)
def test_a_head_of_another_shape_is_the_parsers_business(before, after):
    known = shape(HEAD)
    assert known is not None
    assert known(HEAD.replace(b"now", b"then").replace(b"5", b"1234") + b"hello") is not None
    assert known(HEAD.replace(before, after)) is None


UNUSUAL = [
    (b"Content-Length: 5\r\n", b""),
    (b"Date: now", b"Transfer-Encoding: chunked"),
    (b"Date: now", b"content-length: 5"),
    (b"Date: now", b"Date : now"),
    (b"Date: now", b"Date:now"),
    (b"Date: now", b"\r\n".join(b"X-%d: x" % number for number in range(60))),
    (HEAD, b""),
]


@pytest.mark.parametrize(("before", "after"), UNUSUAL)
def test_an_unusual_head_is_not_remembered(before, after):
    assert shape(HEAD.replace(before, after)) is None


class Mistaken(Sink):
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
