"""The callback level of the HTTP/1.1 client: a sink hears one answer, without a task."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from experts.http1 import Client
from experts.http1_exchange import Deadlines, ProtocolBroken, Sink
from tests.experts.raw import STREAM_HEAD as HEAD
from tests.experts.raw import always, answer, chunked, client_of, get, none_open, serving


class Recorder(Sink):
    """A sink that writes down what it is told."""

    def __init__(self, on_data: Callable[[], object] = lambda: None) -> None:
        self.told: list[object] = []
        self._on_data = on_data
        self.ended = asyncio.Event()

    def on_head(self, status, headers):
        self.told.append(status)

    def on_data(self, data):
        self.told.append(data)
        self._on_data()

    def on_end(self):
        self.told.append("end")
        self.ended.set()

    def on_error(self, error):
        self.told.append(type(error))
        self.ended.set()


async def test_a_sink_hears_the_answer_in_order_and_no_task_is_made_for_it():
    async with serving(always(HEAD, *chunked(b"a", b"b"), pause=0.001)) as server:
        client = client_of(server)
        await get(client)
        sink, tasks = Recorder(), asyncio.all_tasks()
        client.send(client.head("POST", "/", {}), b"{}", Deadlines(), sink)
        assert asyncio.all_tasks() == tasks
        await sink.ended.wait()
        assert sink.told == [200, b"a", b"b", "end"]
        await client.aclose()


async def test_a_sink_may_cancel_from_within_a_call_and_hears_no_more():
    async with serving(always(HEAD + b"".join(chunked(b"a", b"b")))) as server:
        client = client_of(server)
        sink = Recorder(lambda: exchange.cancel())
        exchange = client.send(client.head("POST", "/", {}), b"", Deadlines(), sink)
        while len(sink.told) < 2:
            await asyncio.sleep(0.001)
        await none_open(server)
        assert sink.told == [200, b"a"]
        assert client.free_slots == 256
        await client.aclose()


async def test_a_mistake_in_a_sink_is_told_to_the_loop_and_costs_no_slot():
    mistakes = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: mistakes.append(context["exception"]))
    async with serving(always(answer(b"abc"))) as server:
        client = client_of(server, connections=1)
        sink = Recorder(lambda: 1 / 0)
        client.send(client.head("POST", "/", {}), b"", Deadlines(), sink)
        await sink.ended.wait()
        assert sink.told == [200, b"abc", ProtocolBroken]
        assert await get(client) == b"abc"
        assert any(isinstance(mistake.__context__, ZeroDivisionError) for mistake in mistakes)
        await client.aclose()


class Taker(Recorder):
    """A sink that takes answers whole."""

    takes_whole = True

    def on_whole(self, body):
        self.told.append(body)
        self._on_data()
        self.ended.set()


async def test_a_sink_that_takes_answers_whole_hears_of_one_in_one_call_when_its_connection_is_free():
    async with serving(always(answer(b"abc"))) as server:
        client = client_of(server, connections=1)
        await get(client)
        sink = Taker(lambda: sink.told.append(client.free_slots))
        exchange = client.send(client.head("POST", "/", {}), b"", Deadlines(), sink)
        await sink.ended.wait()
        assert sink.told == [b"abc", 1]
        exchange.cancel()
        assert await get(client) == b"abc"
        assert server.seen == 1
        await client.aclose()


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
async def test_a_request_in_parts_arrives_whole(size):
    got = []

    async def handler(talk):
        while True:
            got.append((await talk.request())[1])
            await talk.say(answer(b"abc"))

    async with serving(handler) as server:
        client = client_of(server)
        for _ in range(2):
            sink = Recorder()
            client.send(client.head("POST", "/", {}), (b"<", memoryview(b"a" * size), b">"), Deadlines(), sink)
            await sink.ended.wait()
            assert sink.told == [200, b"abc", "end"]
        assert got == [b"<" + b"a" * size + b">"] * 2
        await client.aclose()


async def test_small_writes_leave_at_once():
    """TCP_NODELAY is on: sglang-router waits 44 ms here."""
    async with serving(always(answer(b"abc"))) as server:
        client = client_of(server)
        await get(client)
        (connection,) = client.idle
        peer = connection.transport.get_extra_info("socket")
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await client.aclose()


def test_a_path_or_header_cannot_smuggle_a_line():
    client = Client("http://host")
    for path, headers in (("/a\r\nx: y", {}), ("/a b", {}), ("/", {"a": "b\r\nc: d"}), ("/", {"a": "\u20ac"})):
        with pytest.raises(ValueError):
            client.head("GET", path, headers)


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "http://", "http://user@host", "http://host:99999"])
def test_a_url_that_cannot_be_called_is_an_error(url):
    with pytest.raises(ValueError):
        Client(url)
