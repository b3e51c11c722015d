"""New connections are spread evenly over workers, and none is lost with a worker that stands still."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from gateway.spread import AWAY, FETCHED_SECONDS, Spread
from tests.gateway.processes import Gateway, running, until
from tests.gateway.test_heirs import Caller


def held(gateway: Gateway) -> list[int]:
    """How many clients each worker has."""
    port = int(gateway.url.rsplit(":", 1)[1])
    return [
        sum(
            line.status == psutil.CONN_ESTABLISHED and line.laddr.port == port
            for line in psutil.Process(pid).net_connections("tcp")
        )
        for pid in gateway.workers()
    ]


def test_two_workers_have_as_many_clients_each_and_those_that_come_for_clients_that_leave_too(tmp_path):
    with running(tmp_path) as gateway:
        callers = [Caller(gateway) for _ in range(32)]
        heads = [caller.ask() for caller in callers]
        first = held(gateway)
        for caller in callers[::2]:
            caller.line.close()
        until(lambda: sum(held(gateway)) == 16)
        callers = callers[1::2] + [Caller(gateway) for _ in range(32)]
        heads += [caller.ask() for caller in callers]
        then = held(gateway)
        for caller in callers:
            caller.line.close()
        rows = gateway.rows()

    assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
    assert (sum(first), sum(then)) == (32, 48)
    assert max(first) - min(first) <= 4
    assert max(then) - min(then) <= 6
    assert rows == (80, 80)


def test_what_was_passed_on_to_a_worker_that_stands_still_is_taken_back_and_answered_row_58(tmp_path):
    with running(tmp_path) as gateway:
        callers = [Caller(gateway) for _ in range(8)]
        for caller in callers:
            caller.ask()
        assert min(held(gateway)) > 0
        still = gateway.workers()[0]
        os.kill(still, signal.SIGSTOP)
        try:
            more = [Caller(gateway) for _ in range(16)]
            heads = [caller.ask() for caller in more]
        finally:
            os.kill(still, signal.SIGCONT)
        later = [Caller(gateway) for _ in range(16)]
        heads += [caller.ask() for caller in [*callers, *more, *later]]
        for caller in [*callers, *more, *later]:
            caller.line.close()

    assert len(heads) == 56
    assert all(head.startswith(b"HTTP/1.1 200") for head in heads)


class Transport:
    """What is looked at of a connection."""

    def __init__(self) -> None:
        self.line, self.client = socket.socketpair()

    def get_extra_info(self, name: str) -> socket.socket:
        return self.line


@contextmanager
def two() -> Iterator[tuple[Spread, Spread]]:
    """The parts of two workers, in one process."""
    parent = Spread.new(2)
    workers = [Spread(parent.file, parent.inboxes, place) for place in range(2)]
    yield workers[0], workers[1]
    parent.close()


async def test_a_connection_goes_to_the_worker_that_has_fewer_and_can_take_it():
    here: list[socket.socket] = []
    there: list[socket.socket] = []
    with two() as (one, other):
        new: Any = Transport()
        assert not one.pass_on(new, 9), "one that does not take connections yet passes none on"
        one.open(here.append, 9)
        assert not one.pass_on(new, 10), "the other is not there"
        other.open(there.append, 8)
        assert not one.pass_on(new, 10), "a small difference is none"
        other.has(2)
        assert one.pass_on(new, 10)
        assert list(one.numbers) == [9, 3]
        while not there:
            await asyncio.sleep(0.001)
        new.client.send(b"hello")
        assert there[0].recv(5) == b"hello"
        other.leave()
        other.has(1)
        assert other.numbers[1] == AWAY
        assert not one.pass_on(new, 10), "the other leaves"
        assert here == []
        for end in (new.line, new.client, *there):
            end.close()
        for place, each in enumerate((one, other)):
            asyncio.get_running_loop().remove_reader(each.inboxes[place][1])


async def test_what_nobody_fetches_is_taken_back_and_an_inbox_may_be_full():
    here: list[socket.socket] = []
    with two() as (one, other):
        new: Any = Transport()
        one.open(here.append, 10_000)
        other.adopt = here.append
        other.has(0)
        count = 0
        while one.pass_on(new, 10_001):
            count += 1
            other.has(0)
        assert count > 16
        while len(here) < count:
            await asyncio.sleep(FETCHED_SECONDS / 5)
        assert list(one.numbers) == [10_000, AWAY]
        for end in (new.line, new.client, *here):
            end.close()
        asyncio.get_running_loop().remove_reader(one.inboxes[0][1])


class Restless:
    """Numbers that are others each time one looks."""

    def __init__(self) -> None:
        self.looks = iter(range(10))

    def tolist(self) -> list[int]:
        return [9, next(self.looks)]

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __setitem__(self, place: int, number: int) -> None:
        assert (place, number) == (1, 1)


async def test_what_others_write_meanwhile_does_not_matter():
    there: list[socket.socket] = []
    with two() as (one, other):
        new: Any = Transport()
        one.adopt, numbers = there.append, Restless()
        one.numbers = numbers  # type: ignore[assignment] # all that it looks at
        assert one.pass_on(new, 10)
        other.adopt = there.append
        assert other._fetch(1)
        for end in (new.line, new.client, *there):
            end.close()
