"""When first chunks come: over new and over kept connections, of streams together and one by one."""

import asyncio
import contextlib

from bench.speed import begins, upstream
from bench.speed.load import carry_out
from bench.speed.targets import Target
from bench.speed.targets import upstream as upstream_process

USUAL = {"size": 600, "connections": 4, "every_us": 2000, "chunks": 5}
BURSTS = {**USUAL, "kind": "bursts", "bursts": 3}
STEADY = {**USUAL, "kind": "steady", "warm": 0.02, "seconds": 0.1}


async def test_the_first_burst_is_on_new_connections_and_the_others_on_the_same():
    with upstream_process() as direct:
        figures = await carry_out({**BURSTS, "target": direct.wire(), "pid": direct.pid})
        alone = await carry_out({**BURSTS, "target": direct.wire(), "bursts": 0})
    assert (figures["requests"], figures["errors"]) == (16, {})
    assert 0 < figures["new_us"]["p50"] <= figures["new_us"]["max"]
    assert 0 < figures["kept_us"]["p50"] <= figures["kept_us"]["max"]
    assert (alone["requests"], alone["kept_us"]["p50"]) == (4, None)


async def test_streams_one_by_one_are_counted_on_kept_connections():
    with upstream_process() as direct:
        figures = await carry_out({**STEADY, "target": direct.wire(), "pid": direct.pid})
    assert figures["requests"] > 4
    assert figures["new_us"]["p50"] is None
    assert figures["kept_us"]["p50"] > 0
    assert figures["errors"] == {}


class Closing(upstream.Upstream):
    """Ends the connection after the only chunk of each stream."""

    def answer(self, request):
        head = upstream.HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        self.transport.write(head + upstream.stamped() + upstream.LAST + upstream.DONE)
        self.transport.close()


class Held(upstream.Upstream):
    """Sends the head with the role at once, and the first chunk 50 ms later, cut in the middle of its stamp."""

    def answer(self, request):
        self.transport.write(upstream.HEAD)
        chunk = upstream.stamped() + upstream.LAST + upstream.DONE
        cut = chunk.index(b"@") + 9
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, self.transport.write, chunk[:cut])
        loop.call_later(0.06, self.transport.write, chunk[cut:])


class Mute(upstream.Upstream):
    """Answers with the head of a stream and nothing more."""

    def answer(self, request):
        self.transport.write(upstream.HEAD)


class Refusing(upstream.Upstream):
    """Answers no stream."""

    def answer(self, request):
        self.transport.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")


@contextlib.asynccontextmanager
async def serving(protocol):
    """Such a server."""
    made = []

    def make():
        made.append(protocol())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield Target("faulty", server.sockets[0].getsockname()[1]).wire()
    finally:
        server.close()
        for each in made:
            each.transport.abort()
        await asyncio.sleep(0.02)


async def test_a_gateway_that_closes_connections_has_no_figure_for_kept_ones():
    async with serving(Closing) as target:
        bursts = await carry_out({**BURSTS, "target": target})
        steady = await carry_out({**STEADY, "target": target})
    for figures in (bursts, steady):
        assert figures["errors"] == {}
        assert figures["requests"] > 4
        assert figures["kept_us"]["p50"] is None
        assert figures["new_us"]["p50"] > 0


async def test_a_first_chunk_is_the_first_word_and_not_the_head_before_it():
    async with serving(Held) as target:
        figures = await carry_out({**BURSTS, "target": target, "bursts": 1})
    assert figures["requests"] == 8
    assert figures["new_us"]["p50"] >= 60_000
    assert figures["kept_us"]["p50"] >= 60_000


async def test_what_never_has_a_first_chunk_is_an_error(monkeypatch):
    monkeypatch.setattr(begins, "PATIENCE", 0.05)
    async with serving(Mute) as target:
        bursts = await carry_out({**BURSTS, "target": target})
    assert bursts["errors"] == {"not ended": 4}
    async with serving(Refusing) as target:
        refused = await carry_out({**BURSTS, "target": target})
    assert refused["errors"] == {"status 503": 16}


async def test_a_stream_that_began_in_the_window_counts_however_late_its_first_chunk_comes(monkeypatch):
    async with serving(Held) as target:
        figures = await carry_out({**STEADY, "target": target, "warm": 0.1, "seconds": 0.06})
        assert figures["requests"] >= 4
        assert figures["kept_us"]["p50"] >= 60_000
        monkeypatch.setattr(begins, "PATIENCE", 0.0)
        cut = await carry_out({**STEADY, "target": target, "warm": 0.1, "seconds": 0.3})
    assert cut["errors"]["no first chunk"] >= 1


async def test_a_connection_that_is_refused_is_an_error():
    async with serving(Closing) as target:
        run = begins.Steady({**STEADY, "target": target})
        (stream,) = run.streams = await run.open(1)
    stream.asker.transport.abort()
    await run.reopen(stream)
    assert run.errors == {"cannot connect": 1}
