"""Connections that outlive their worker: a reload closes none, whatever is on its way at that moment."""

from __future__ import annotations

import asyncio
import signal
import socket

import orjson

from gateway.heirs import Heirs
from tests.gateway.processes import Gateway, running, until


class Caller:
    """One connection, kept for all requests."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.line = socket.create_connection(("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])), timeout=30)

    def say(self, **more: object) -> bytes:
        """A request's bytes."""
        body = orjson.dumps({"model": "one", "messages": [{"role": "user", "content": "hi"}], **more})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.gateway.key}\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    def hear(self, end: bytes) -> bytes:
        """An answer to its last bytes."""
        heard = b""
        while not heard.endswith(end):
            piece = self.line.recv(65536)
            assert piece, f"closed after {heard!r}"
            heard += piece
        return heard

    def ask(self) -> bytes:
        self.line.sendall(self.say())
        return self.hear(b"}")


def reloaded(gateway: Gateway) -> None:
    """All workers are new ones, and the old ones have gone."""
    before = set(gateway.workers())
    gateway.reload()
    until(lambda: not before & set(gateway.workers()))


def test_an_idle_connection_goes_on_in_another_worker_row_52(tmp_path):
    with running(tmp_path) as gateway:
        callers = [Caller(gateway) for _ in range(12)]  # some have never said a word
        heads = [caller.ask() for caller in callers[:8]]
        for _ in range(2):
            reloaded(gateway)
            heads += [caller.ask() for caller in callers]
        for caller in callers:
            caller.line.close()
        rows = gateway.rows()

    assert len(heads) == 32
    assert all(head.startswith(b"HTTP/1.1 200") and b"connection: close" not in head for head in heads)
    assert rows == (32, 32)


def test_a_connection_goes_on_after_the_stream_that_its_worker_still_finishes_row_52(tmp_path):
    with running(tmp_path, workers=1) as gateway:
        caller = Caller(gateway)
        caller.line.sendall(caller.say(model="slow", stream=True))
        began = caller.line.recv(65536)
        gateway.reload()
        stream = began + caller.hear(b"0\r\n\r\n")
        answer = caller.ask()
        caller.line.close()

    assert b"connection: close" not in stream
    assert stream.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


def test_half_a_request_is_finished_where_it_began_row_52(tmp_path):
    with running(tmp_path, workers=1) as gateway:
        caller = Caller(gateway)
        words = caller.say()
        caller.line.sendall(words[:60])
        with gateway.client() as client:
            assert gateway.ask(client).status_code == 200  # the one worker has read the half before this
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: len(gateway.workers()) == 2)
        caller.line.sendall(words[60:])
        answer = caller.hear(b"}")
        caller.line.close()

    assert answer.startswith(b"HTTP/1.1 200")


class Transport:
    """What is looked at of a connection."""

    def __init__(self, line: socket.socket, unsent: int = 0) -> None:
        self.line, self.unsent, self.reads = line, unsent, True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str) -> socket.socket:
        return self.line

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


async def test_what_cannot_be_passed_on_now_stays():
    (entry, way_out), (ours, theirs) = socket.socketpair(), socket.socketpair()
    heirs = Heirs(entry, way_out)
    with entry, way_out, ours, theirs:
        slow, idle = Transport(ours, unsent=1), Transport(ours)
        assert not heirs.give(slow)  # type: ignore[arg-type] # all that it looks at
        count = 0
        while heirs.give(idle):  # type: ignore[arg-type] # all that it looks at
            count += 1
        assert count > 16
        assert slow.reads
        assert idle.reads

        taken: asyncio.Queue[socket.socket] = asyncio.Queue()
        heirs.listen(taken.put_nowait)
        theirs.send(b"hello")
        others = [await taken.get() for _ in range(count)]
        heirs.ignore()
        assert others[0].recv(5) == b"hello"
        for each in others:
            each.close()
