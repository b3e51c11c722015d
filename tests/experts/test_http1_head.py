"""An answer under a head that came before is taken without a parser, and is the same answer."""

import asyncio

import pytest

from experts.http1_chunks import Opening
from experts.http1_connection import Connection
from experts.http1_exchange import ClosedEarly, Deadlines, ProtocolBroken, Sink
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
        assert client.whole.known is not None
        assert client.whole.unlike == 0
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
            seen.add(client.whole.known)
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
        assert client.whole.unlike == 0
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
        assert isinstance(await sink.error, ClosedEarly)
        await client.aclose()


def streamed(*pieces: bytes, more: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/event-stream\r\n%bTransfer-Encoding: chunked\r\n\r\n"
    return head % more + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def in_parts(*answers: list[bytes]):
    """A server that gives one answer after another, each in its parts."""

    async def handler(talk):
        for parts in answers:
            await talk.request()
            await talk.say(*parts, pause=0.005)
        await talk.closed()

    return handler


FIRST = [streamed(end=b""), b"1\r\na\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([streamed(b"one", b"two")], b"onetwo"),
        ([streamed(b"one", b"two", end=b""), b"3\r\nxyz\r\n", b"0\r\n\r\n"], b"onetwoxyz"),
        ([streamed(end=b""), b"1\r\nx\r\n0\r\n\r\n"], b"x"),
        ([streamed()], b""),
        ([streamed(b"one", end=b"5\r\nab"), b"cde\r\n0\r\n\r\n"], b"oneabcde"),
        ([streamed(b"one", end=b""), b"5\r\nab", b"cde\r\n", b"1\r\nx\r\n", b"0\r\n\r\n"], b"oneabcdex"),
        ([streamed(b"one", end=b"0\r\nX-Trailer: b\r\n\r\n")], b"one"),
        ([streamed(b"one", end=b""), b"0\r\nX-Trailer: b\r\n\r\n"], b"one"),
        ([streamed(b"one", end=b"0\r"), b"\n\r\n"], b"one"),
        ([streamed(b"one", end=b"3;x=y\r\ntwo\r\n0\r\n\r\n")], b"onetwo"),
        ([streamed(b"one", more=b"X-Id: 7\r\n")], b"one"),
        ([streamed(b"one").replace(b"now", b"Mon, 1 Jan")], b"one"),
    ],
)
async def test_a_stream_under_a_known_head_is_the_same_stream_however_it_comes(parts, body):
    async with serving(in_parts(FIRST, parts, parts, FIRST, [answer(b"last")])) as server:
        client = client_of(server)
        assert [await get(client) for _ in range(5)] == [b"a", body, body, b"a", b"last"]
        assert (server.seen, client.free_slots) == (1, 256)
        await client.aclose()


async def test_the_parser_sees_nothing_of_a_stream_whose_head_and_chunks_are_known(monkeypatch):
    async with serving(in_parts(FIRST, *[[streamed(b"x").replace(b"now", b"then")]] * 3)) as server:
        client = client_of(server)
        assert await get(client) == b"a"
        monkeypatch.setattr(Connection, "_parse", None)
        async with client.request("GET", "/", {}) as response:
            assert (response.status, dict(response.headers)[b"date"]) == (200, b"then")
            assert await response.read() == b"x"
        assert [await get(client) for _ in range(2)] == [b"x"] * 2
        await client.aclose()


@pytest.mark.parametrize(
    "other",
    [
        streamed(b"b", more=b"Connection: close\r\n"),
        streamed(b"b", more=b"Content-Length: 1\r\n")
        .replace(b"Transfer-Encoding: chunked\r\n", b"")
        .split(b"1\r\nb")[0]
        + b"b",
        streamed(b"b").replace(b"200 OK", b"201 Made"),
        streamed(b"b").replace(b"text/event-stream", b"text/plain"),
    ],
)
async def test_a_stream_under_another_head_is_read_by_the_parser(other):
    async with serving(in_parts(FIRST, [other])) as server:
        client = client_of(server)
        assert await get(client) == b"a"
        assert client.opening.of(other) == 0
        assert await get(client) == b"b"
        await client.aclose()


@pytest.mark.parametrize(
    "parts",
    [
        [streamed(b"one", end=b"")],
        [streamed(b"one", end=b""), b"5\r\nab"],
        [streamed(b"one", end=b"zz\r\n")],
        [streamed(end=b"")],
    ],
)
async def test_a_stream_under_a_known_head_that_is_cut_or_broken_is_an_error(parts):
    async def handler(talk):
        for each in (FIRST, parts):
            await talk.request()
            await talk.say(*each, pause=0.005)

    async with serving(handler) as server:
        client = client_of(server)
        assert await get(client) == b"a"
        with pytest.raises(ClosedEarly if b"zz" not in parts[0] else ProtocolBroken):
            await get(client)
        await client.aclose()


async def test_a_stream_with_more_behind_it_is_not_taken_for_one():
    async with serving(in_parts(FIRST, [streamed(b"b") + b"HTTP/1.1 200 OK\r\n"], [streamed(b"c")])) as server:
        client = client_of(server)
        assert [await get(client) for _ in range(2)] == [b"a", b"b"]
        await none_open(server)
        await client.aclose()


@pytest.mark.parametrize(
    "more",
    [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Odd : 1\r\n", b"X-A:\tb\r\n", b"X-Y: 1\r\n" * 50],
)
def test_no_head_in_chunks_is_learned_with_anything_unusual(more):
    opening = Opening()
    opening.learn(streamed(b"x", more=more))
    assert opening.of(streamed(b"x", more=more)) == 0
    opening.learn(streamed(b"x").replace(b"chunked", b"gzip, chunked"))
    opening.learn(b"HTTP/1.1 100 Continue\r\n\r\n" + streamed(b"x"))
    opening.learn(answer(b"x"))
    assert opening.of(streamed(b"x")) == 0


def test_heads_in_chunks_that_are_never_the_same_are_seldom_learned():
    opening, heads = Opening(), [streamed(more=b"X-%d: id\r\n" % number) for number in range(100)]
    learned = 0
    for head in heads:
        assert not opening.of(head)
        opening.learn(head)
        learned += opening.head == head
    assert learned < 40
    assert opening.of(opening.head + b"1\r\nx\r\n") == len(opening.head)
