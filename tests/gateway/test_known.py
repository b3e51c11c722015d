"""A head that came before means the same again; every other one is parsed."""

import asyncio

import pytest

from experts.http1_head import cut
from gateway import limits
from gateway.app import raiser
from gateway.errors import APIError
from gateway.known import learned
from gateway.turn import Head
from tests.gateway.conftest import Served, make_door, scripted, serving

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-A: b\r\n\r\n"


NOBODY = raiser(APIError("not_found"))
KNOWN = learned(HEAD + b"hello", Head("POST", "/", {b"host": b"x", b"x-a": b"b"}, "other", NOBODY))


def told(data: bytes) -> tuple[int, int] | None:
    assert KNOWN is not None
    return KNOWN.told(data)


def test_a_head_is_cut_at_the_digits_of_its_length():
    assert cut(HEAD) == (HEAD[: HEAD.index(b"5")], HEAD[HEAD.index(b"5") + 1 :])


@pytest.mark.parametrize(
    "head",
    [
        HEAD + HEAD,
        HEAD[:-1],
        HEAD.replace(b"Content-Length: 5\r\n", b""),
        HEAD.replace(b"Content-Length: 5", b"Content-Length: +5"),
        HEAD.replace(b"Content-Length: 5", b"Content-Length:5"),
    ],
)
def test_what_is_not_one_head_with_a_plain_length_is_not_remembered(head):
    assert cut(head) is None


def test_the_same_head_with_another_length_tells_it_and_where_the_body_begins():
    head = HEAD.replace(b": 5", b": 11")
    assert told(head + b"hello again") == told(head) == (11, len(head))


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"X-A: b", b"X-A: c") + b"hello",
        HEAD.replace(b"X-A: b", b"X-A: b\r\nX-B: c") + b"hello",
        HEAD.replace(b": 5", b": 5\r\nTransfer-Encoding: chunked") + b"hello",
        HEAD.replace(b": 5", b": +5") + b"hello",
        HEAD.replace(b": 5", b": 5 ") + b"hello",
        HEAD.replace(b": 5", b": 000000005") + b"hello",
        HEAD.lower() + b"hello",
        HEAD[:-1],
        b"",
    ],
)
def test_any_other_bytes_are_the_parsers_business(data):
    assert told(data) is None


def ask(content: str, key: str = "lyc-test-key") -> bytes:
    body = b'{"model":"auto","messages":[{"role":"user","content":"%b"}]}' % content.encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def answers(served: Served, *requests: bytes) -> list[bytes]:
    """The status lines that one connection is given, one request after another."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = []
    async with asyncio.timeout(10):
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines.append(head.partition(b"\r\n")[0])
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
    writer.transport.abort()
    await asyncio.sleep(0)
    return lines


async def test_a_connection_answers_request_after_request_whatever_their_heads(served):
    fine, denied = b"HTTP/1.1 200 OK", b"HTTP/1.1 401 Unauthorized"
    asked = [ask("a"), ask("a longer one"), ask("a", "lyc-wrong"), ask("b"), ask("b", "lyc-wrong"), ask("c" * 5000)]
    assert await answers(served, *asked) == [fine, fine, denied, fine, denied, fine]
    assert [row["kind"] for row in served.ledger("outcomes")] == ["answer"] * 4


async def test_a_request_in_pieces_after_one_in_one_piece_is_read_whole(served):
    whole = ask("a second one")
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(10):
        for pieces in ((ask("a"),), (whole[:30], whole[30:-5], whole[-5:]), (ask("b"),)):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
            assert b"one two three" in await reader.readuntil(b"}}}")
    writer.transport.abort()
    await asyncio.sleep(0)


async def exchanged(served: Served, *turns: list[bytes]) -> list[bytes]:
    """The statuses of the answers to some turns, each sent in pieces; the last one until the connection closes."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    said = b""
    async with asyncio.timeout(10):
        for pieces in turns:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)
            said += b"" if pieces is turns[-1] else await reader.readuntil(b"}}}")
        said += await reader.read()
    writer.transport.abort()
    await asyncio.sleep(0)
    return [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]


LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def test_what_follows_a_long_body_in_pieces_is_answered_after_it(served):
    long = ask("x" * 3000)
    pieces = [long[:1000], long[1000:2000], long[2000:] + LAST]

    assert await exchanged(served, [ask("a")], pieces) == [b"200", b"200", b"200"]


async def test_the_first_byte_of_the_next_request_is_none_of_a_body_with_a_digit_less_in_its_length(served):
    shorter = ask("a")
    longer = ask("a" * (110 - len(shorter.partition(b"\r\n\r\n")[2])))

    assert await exchanged(served, [longer], [shorter + LAST[:1], LAST[1:]]) == [b"200", b"200", b"200"]


async def test_a_body_under_a_known_head_has_its_cap_and_its_deadline(tmp_path, monkeypatch):
    """Rows 24, 29."""
    for name in ("BODY_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(limits, name, 0.2)
    monkeypatch.setattr(limits, "TICK", 0.05)
    async with serving(make_door(tmp_path, [scripted("one", "one two three")]), body_mb=1) as served:
        half = ask("x" * 3000)[:1000]
        large = ask("x" * 1_100_000)[:1000]

        assert await exchanged(served, [ask("a")], [half]) == [b"200", b"408"]
        assert await exchanged(served, [ask("a")], [large]) == [b"200", b"413"]


async def test_a_head_that_one_connection_sent_is_known_on_the_next_and_another_key_is_another_head(served):
    fine, denied = b"HTTP/1.1 200 OK", b"HTTP/1.1 401 Unauthorized"
    assert await answers(served, ask("a")) == [fine]
    assert await answers(served, ask("b"), ask("b", "lyc-wrong"), ask("c")) == [fine, denied, fine]
    assert await answers(served, ask("d", "lyc-other-key")) == [fine]
    assert [row["key"] for row in served.ledger("decisions")] == ["me", "me", "me", "other"]


def test_a_head_says_how_long_its_body_is_and_where_it_begins():
    head = Head("POST", "/p", {b"x-a": b"100%d", b"content-length": b"5"}, "/p", NOBODY)
    odd = HEAD.replace(b"X-A: b", b"X-A: 100%d")
    known = learned(odd + b"hello", head)
    assert known is not None
    assert known.head.headers == {b"x-a": b"100%d"}
    assert known.told(odd + b"hello") == (5, len(odd))
    assert known.told(odd.replace(b": 5", b": 123") + b"x") == (123, len(odd) + 2)
    assert known.told(HEAD + b"hello") is None
    sized = known.sized(len(odd) + 2, 500)
    assert (sized.start, sized.most) == (len(odd) + 2, 500)
    assert sized.line % 123 == odd.replace(b": 5", b": 123")
    assert learned(odd + b"hello", Head("PUT", "/p", {}, "/p", NOBODY)) is None
