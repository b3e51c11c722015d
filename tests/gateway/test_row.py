"""Requests that come all at once let what experts have sent pass between them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from gateway.row import AT_ONCE, Row
from tests.gateway.conftest import KEY, Served

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"

FINE = b"HTTP/1.1 200 OK\r\n"


def request(number: int) -> bytes:
    body = orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": f"number {number:04d}"}]})
    return HEAD % (KEY.encode(), len(body)) + body


class Line:
    """A connection that writes down when its request is begun."""

    def __init__(self, begun: list[Any], number: int, closing: bool = False, broken: bool = False) -> None:
        self.begun, self.number, self.broken = begun, number, broken
        self.door = self
        self.turn: Any = self
        self.head = SimpleNamespace(handler=f"task {number}")
        self.transport = SimpleNamespace(is_closing=lambda: closing)

    def now(self, turn: Any) -> bool:
        self.begun.append(self.number)
        if self.broken:
            raise RuntimeError("a mistake")
        return self.number % 2 == 0

    def spawn(self, turn: Any, handler: Any) -> None:
        self.begun.append(handler)


def offered(lines: list[Line], row: Row) -> list[Any]:
    """Who is begun of those that come all at once."""
    for line in lines:
        row.begin(line, line)  # type: ignore[arg-type] # stand-ins
    begun, lines[0].begun[:] = lines[0].begun[:], []
    return begun


async def test_a_few_are_begun_at_once_and_the_others_a_few_in_each_turn_of_the_loop():
    loop = asyncio.get_running_loop()
    begun: list[Any] = []
    row = Row(loop)
    row.time = lambda: 1.0
    lines = [Line(begun, number) for number in range(0, 6 * AT_ONCE, 2)]
    assert offered(lines, row) == [line.number for line in lines[:AT_ONCE]]
    for turn in (1, 2):
        loop.call_soon(begun.append, "what came")
        await asyncio.sleep(0)
        assert len(begun) == turn * (AT_ONCE + 1)
    await asyncio.sleep(0)
    assert [number for number in begun if number != "what came"] == [line.number for line in lines[AT_ONCE:]]
    row.time = lambda: 2.0
    begun.clear()
    assert offered(lines[:1], row) == [0]


async def test_who_has_gone_is_not_begun_and_what_callbacks_cannot_do_is_a_task():
    begun: list[Any] = []
    row = Row(asyncio.get_running_loop())
    row.time = lambda: 1.0
    lines = [Line(begun, number, closing=number == 4) for number in range(AT_ONCE + 2)]
    assert offered(lines, row) == [0, 1, "task 1", 2, 3, "task 3"]
    lines[AT_ONCE].turn = None
    await asyncio.sleep(0)
    assert begun == [AT_ONCE + 1, f"task {AT_ONCE + 1}"]


async def test_a_mistake_with_one_leaves_nobody_waiting():
    loop = asyncio.get_running_loop()
    begun: list[Any] = []
    told: list[Any] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    row = Row(loop)
    row.time = lambda: 1.0
    lines = [Line(begun, 2 * number, broken=number == AT_ONCE) for number in range(2 * AT_ONCE)]
    offered(lines, row)
    await asyncio.sleep(0.01)
    assert begun == [line.number for line in lines[AT_ONCE:]]
    assert isinstance(told[0], RuntimeError)


@pytest.mark.parametrize("leaving", [0, 10])
async def test_a_burst_is_answered_whole_but_for_those_who_leave(served: Served, leaving):
    pairs = [await asyncio.open_connection("127.0.0.1", urlsplit(served.url).port) for _ in range(40)]
    pairs[0][1].write(request(0))
    assert await pairs[0][0].readuntil(b"\r\n") == FINE  # its head is known from here on
    for place, (_, writer) in enumerate(pairs[1:], 1):
        writer.write(request(place))
    for _, writer in pairs[1 : 1 + leaving]:
        writer.close()
    answers = [await reader.readuntil(b"\r\n") for reader, _ in pairs[1 + leaving :]]
    assert answers == [FINE] * (39 - leaving)
    for _, writer in pairs:
        writer.close()
