"""Our own protocol on raw sockets: what is half, too much, too slow or not HTTP is refused clearly and soon."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest

from gateway import limits
from tests.gateway.conftest import Served, make_door, scripted, serving

BODY = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer lyc-test-key\r\n"
ASK = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


async def talk(served: Served, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Everything the server says until it closes."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def body_of(answer: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    return found


@pytest.fixture
def hasty(monkeypatch):
    """Deadlines for tests."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "IDLE_SECONDS", "WRITE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(limits, name, 0.3)
    monkeypatch.setattr(limits, "TICK", 0.05)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, "bad_request"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Content-Length: +5\r\n\r\nhello", 400, "bad_request"),
        (HEAD + b"Transfer-Encoding: xchunked\r\n\r\nhello", 400, "bad_request"),
        (HEAD + b"Authorization: Bearer other\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Host: y\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Bad Name : x\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (HEAD + b"".join(b"X-%d: y\r\n" % i for i in range(300)) + b"\r\n", 431, "headers_too_large"),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413, "request_too_large"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 415, "unsupported_media_type"),
    ],
)
async def test_what_is_not_a_proper_request_is_refused_in_openais_form(hasty, served, sent, status, code):
    """Rows 24, 25, 26: one answer, then the end."""
    answer = await talk(served, sent)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert body_of(answer)["code"] == code
    assert answer.count(b"HTTP/1.1 4") == 1


@pytest.mark.parametrize("sent", [b"POST /v1/cha", HEAD, HEAD + b"Content-Length: 50\r\n\r\n{"])
async def test_half_a_request_is_a_408(hasty, served, sent):
    """Row 23."""
    answer = await talk(served, sent)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert body_of(answer)["code"] == "request_timeout"


async def test_a_dripping_body_is_a_408_however_steady(hasty, served):
    """Row 23."""
    pieces = [HEAD + b"Content-Length: 50\r\n\r\n", *([b" "] * 8)]

    assert (await talk(served, *pieces, pause=0.05)).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_in_silence(hasty, served):
    assert await talk(served) == b""


async def test_requests_of_one_connection_are_answered_in_order(served):
    """Row 29: pipelining."""
    second = ASK.replace(b'"auto"', b'"nobody"').replace(b"%d" % len(BODY), b"%d" % (len(BODY) + 2))
    answer = await talk(served, ASK + second + ASK.replace(b"Host: x", b"Host: x\r\nConnection: close"))

    parts = answer.split(b"HTTP/1.1 ")[1:]
    assert [part[:3] for part in parts] == [b"200", b"404", b"200"]


async def test_an_old_client_gets_an_answer_without_chunks(served):
    """HTTP/1.0 has none: the end of the connection ends the answer."""
    ask = ASK.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b'{"model"', b'{"stream":true,"model"')
    ask = ask.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: %d" % (len(BODY) + 14))
    answer = await talk(served, ask)

    assert b"transfer-encoding" not in answer
    assert answer.endswith(b"data: [DONE]\n\n")


async def test_a_client_that_waits_for_leave_to_send_gets_it(served):
    """Row 29: Expect: 100-continue."""
    head, body = ASK.split(b"\r\n\r\n", 1)
    answer = await talk(served, head + b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", body, pause=0.1)

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


async def test_an_upgrade_is_not_taken(hasty, served):
    """A request without a body is served as it is; one with a body is refused, since nobody can tell where it ends."""
    upgrade = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c"
    plain = await talk(served, b"GET /healthz HTTP/1.1\r\n" + upgrade + b"\r\n\r\n")
    asked = await talk(served, ASK.replace(b"Host: x", upgrade))

    assert plain.startswith(b"HTTP/1.1 200 OK")
    assert asked.startswith(b"HTTP/1.1 400 ")


async def test_a_connection_too_many_is_told_so(tmp_path, monkeypatch):
    """Row 29."""
    monkeypatch.setattr(limits, "CONNECTIONS", 1)
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.1)
    async with serving(make_door(tmp_path, [scripted("one")])) as served:
        host, port = served.url.removeprefix("http://").split(":")
        _, first = await asyncio.open_connection(host, int(port))
        await asyncio.sleep(0.1)
        answer = await talk(served, b"")
        first.transport.abort()
        await asyncio.sleep(0)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert body_of(answer)["code"] == "server_is_overloaded"


async def test_many_half_open_connections_harm_nobody(served):
    """Row 23."""
    host, port = served.url.removeprefix("http://").split(":")
    writers = []
    for _ in range(200):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/chat")
        writers.append(writer)

    assert (await served.ask()).status_code == 200
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)
