"""A head that came before means the same again; every other one is parsed."""

import asyncio

import pytest

from experts.http1_head import body_under, cut
from tests.gateway.conftest import Served

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-A: b\r\n\r\n"


def body(data: bytes) -> bytes | None:
    parts = cut(HEAD + b"hello", 5)
    assert parts is not None
    return body_under(*parts, data)


def test_a_head_is_cut_at_the_digits_of_its_length():
    assert cut(HEAD + b"hello", 5) == (HEAD[: HEAD.index(b"5")], HEAD[HEAD.index(b"5") + 1 :])


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (HEAD + b"hello" + HEAD + b"hello", 5),
        (HEAD + b"hell", 5),
        (HEAD.replace(b"Content-Length: 5\r\n", b"") + b"hello", 5),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length: +5") + b"hello", 5),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length:5") + b"hello", 5),
    ],
)
def test_what_is_not_one_request_with_a_plain_length_is_not_remembered(data, size):
    assert cut(data, size) is None


def test_the_same_head_with_another_length_gives_the_body():
    assert body(HEAD.replace(b": 5", b": 11") + b"hello again") == b"hello again"


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"X-A: b", b"X-A: c") + b"hello",
        HEAD.replace(b"X-A: b", b"X-A: b\r\nX-B: c") + b"hello",
        HEAD.replace(b": 5", b": 5\r\nTransfer-Encoding: chunked") + b"hello",
        HEAD.replace(b": 5", b": +5") + b"hello",
        HEAD.replace(b": 5", b": 5 ") + b"hello",
        HEAD.replace(b": 5", b": 000000005") + b"hello",
        HEAD + b"hell",
        HEAD + b"hello!",
        HEAD + b"hello" + HEAD + b"hello",
        HEAD.lower() + b"hello",
        b"",
    ],
)
def test_any_other_bytes_are_the_parsers_business(data):
    assert body(data) is None


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
