"""Restarts under load at a small size: real workers, real signals; and a client that can tell a broken answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from bench import restarts
from bench.visitor import END, Broken, whole
from tests.bench.line import arguments


def test_reloads_fail_nobody_row_52(capsys):
    assert restarts.run(arguments(restarts, "--restarts", "2", "--rate", "40", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["failed"], result["answered_unrecorded"], result["stuck"]) == (0, 0, 0)
    assert result["answered"] == result["requests"] > 10


def test_a_killed_worker_takes_only_its_own_requests_with_it_row_58(capsys):
    assert restarts.run(arguments(restarts, "--restarts", "1", "--rate", "40", "--kill", "--pause", "1", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["failed_elsewhere"], result["answered_unrecorded"]) == (0, 0)
    assert result["answered"] > 10


async def read(head: bytes, body: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(body)
    reader.feed_eof()
    await whole(head, reader)


OK, STREAM = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_visitor_takes_whole_answers():
    await read(OK, b"{}")
    await read(STREAM, b"10\r\n" + END)


@pytest.mark.parametrize(
    ("head", "body", "error"),
    [
        (OK, b"{", EOFError),
        (OK.replace(b"200 OK", b"503 No"), b"{}", Broken),
        (STREAM, b"1\r\na\r\n0\r\n\r\n", Broken),
        (STREAM, END[:-3], EOFError),
    ],
)
async def test_a_visitor_takes_nothing_else(head, body, error):
    with pytest.raises(error):
        await read(head, body)
