"""Whole chunks are taken without a parser, and mean what they mean to it, however a stream is cut into reads."""

import asyncio
import random

import pytest

from experts.http1_chunks import bodies
from experts.http1_exchange import ClosedEarly, Deadlines, ProtocolBroken, TimedOut
from tests.experts.raw import STREAM_HEAD as HEAD
from tests.experts.raw import client_of, get, serving, silent
from tests.experts.test_http1_sink import Recorder


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"3\r\nabc\r\n", b"abc"),
        (b"a\r\n0123456789\r\n", b"0123456789"),
        (b"10\r\n0123456789abcdef\r\n", b"0123456789abcdef"),
        (b"1\r\na\r\n2\r\n\r\n\r\nC\r\nabcdefghijkl\r\n", b"a\r\nabcdefghijkl"),
    ],
)
def test_whole_chunks_give_their_bodies(data, body):
    assert bodies(data) == body


@pytest.mark.parametrize(
    "data",
    [
        b"3\r\nab",
        b"3\r\nabc",
        b"3\r\nabc\r",
        b"3\r\nabc\r\n1",
        b"3\r\nabc\r\n1\r\n",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"3;a=b\r\nabc\r\n",
        b"03\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"1_0\r\n0123456789abcdef\r\n",
        b" 3\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nab\r\n",
        b"2\r\nab\r\n3\r\nabcd\r\n",
        b"1000000\r\nabc\r\n",
        b"",
    ],
)
def test_anything_else_is_the_parsers_business(data):
    assert not bodies(data)


def cut(chance: random.Random) -> tuple[list[bytes], bytes]:
    """The reads of a stream, cut at edges of its chunks or anywhere, and what the stream says."""
    pieces = [bytes(chance.choices(b"ab\r\n0", k=chance.choice((1, 2, 3, 20)))) for _ in range(8)]
    chunks = [b"%x%b\r\n%b\r\n" % (len(each), chance.choice((b"", b"", b";x=y")), each) for each in pieces]
    stream = b"".join(chunks) + b"0\r\n" + chance.choice((b"", b"A: b\r\n")) + b"\r\n"
    edges = [len(b"".join(chunks[:number])) for number in range(1, 9)]
    anywhere = chance.choices(range(1, len(stream)), k=3)
    cuts = sorted({*chance.sample(edges, k=chance.randrange(9)), *chance.sample(anywhere, k=chance.randrange(4))})
    return [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)], b"".join(pieces)


async def test_however_chunks_are_cut_into_reads_the_same_comes_out():
    chance = random.Random(7)
    async with serving(silent) as server:
        client = client_of(server, connections=1)
        for _ in range(1000):
            sink = Recorder()
            exchange = client.send(client.head("POST", "/", {}), b"", Deadlines(), sink)
            while exchange.connection is None:
                await asyncio.sleep(0)
            reads, said = cut(chance)
            for read in [HEAD, *reads] if chance.random() < 0.5 else [HEAD + reads[0], *reads[1:]]:
                exchange.connection.data_received(read)
            assert (sink.told[0], b"".join(part for part in sink.told if isinstance(part, bytes)), sink.told[-1]) == (
                200,
                said,
                "end",
            ), reads
        assert client.free_slots == 1
        assert server.seen == 1
        await client.aclose()


async def test_after_whole_chunks_the_parser_still_sees_what_is_wrong_and_the_idle_deadline_counts():
    async def handler(talk):
        await talk.request()
        await talk.say(HEAD, *[b"1\r\na\r\n"] * 3, *([b"1\r\nabc\r\n"] if talk.number == 1 else []), pause=0.01)
        await talk.closed()

    async with serving(handler) as server:
        client = client_of(server)
        with pytest.raises(ProtocolBroken):
            await get(client)
        with pytest.raises(TimedOut, match="idle"):
            await get(client, idle=0.1)
        assert client.free_slots == 256
        await client.aclose()


async def test_a_sink_with_a_bug_costs_no_slot_in_the_middle_of_a_stream():
    mistakes = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: mistakes.append(context["exception"]))

    async def handler(talk):
        await talk.request()
        await talk.say(HEAD, *[b"1\r\na\r\n"] * 3, pause=0.01)
        await talk.closed()

    async with serving(handler) as server:
        client = client_of(server)
        sink = Recorder(lambda: 1 / (4 - len(sink.told)))
        client.send(client.head("POST", "/", {}), b"", Deadlines(), sink)
        await sink.ended.wait()
        assert sink.told == [200, b"a", b"a", b"a", ClosedEarly]
        assert [type(mistake) for mistake in mistakes] == [ZeroDivisionError]
        assert client.free_slots == 256
        await client.aclose()
