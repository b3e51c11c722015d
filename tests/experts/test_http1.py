"""The HTTP/1.1 client against answers of every framing, and against what is no answer."""

import asyncio

import pytest

from experts.http1_exchange import ClosedEarly, ProtocolBroken
from tests.experts.raw import STREAM_HEAD as HEAD
from tests.experts.raw import always, answer, chunked, client_of, get, none_open, serving


async def test_one_connection_serves_one_request_after_another():
    async with serving(always(answer(b"hello"))) as server:
        client = client_of(server)
        assert [await get(client) for _ in range(20)] == [b"hello"] * 20
        assert server.seen == 1
        await client.aclose()
        await none_open(server)


async def test_the_request_arrives_as_it_was_made_and_the_answer_has_lower_case_headers():
    heads = []

    async def handler(talk):
        head, body = await talk.request()
        heads.append(head)
        await talk.say(b"HTTP/1.1 418 Teapot\r\nX-Odd: A b\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with serving(handler) as server:
        client = client_of(server)
        async with client.request("POST", "/v1/x?y=z", {"authorization": "Bearer k"}, b"abc") as response:
            assert (response.status, response.headers) == (418, [(b"x-odd", b"A b"), (b"content-length", b"3")])
            assert [piece async for piece in response] == [b"abc"]
        lines = [b"POST /v1/x?y=z HTTP/1.1", b"host: 127.0.0.1:%d" % server.port, b"authorization: Bearer k"]
        assert heads[0].split(b"\r\n") == [*lines, b"content-length: 3", b"", b""]
        await client.aclose()


@pytest.mark.parametrize(
    ("sent", "body", "reused"),
    [
        (answer(b"abc"), b"abc", True),
        (answer(b""), b"", True),
        (HEAD + b"".join(chunked(b"ab", b"c")), b"abc", True),
        (HEAD + b"2;x=y\r\nab\r\n0\r\nTrailer: t\r\n\r\n", b"ab", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + answer(b"abc"), b"abc", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", b"", True),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 100_000])
async def test_bodies_of_every_framing_in_pieces_of_any_size(sent, body, reused, size):
    pieces = [sent[i : i + size] for i in range(0, len(sent), size)]
    async with serving(always(*pieces)) as server:
        client = client_of(server)
        assert [await get(client), await get(client)] == [body, body]
        assert server.seen == (1 if reused else 2)
        await client.aclose()


async def test_a_body_without_a_length_ends_with_the_connection():
    async def handler(talk):
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\n\r\n", b"ab", b"c")

    async with serving(handler) as server:
        client = client_of(server)
        assert await get(client) == b"abc"
        assert client.free_slots == 256
        await client.aclose()


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
        HEAD + b"zz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-many: yes\r\n" * 10_000 + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    ],
    ids=lambda sent: sent[:60].decode(),
)
async def test_what_is_not_http_or_too_large_a_head_is_an_error_and_never_an_answer(sent):
    """Row 12."""
    async with serving(always(sent)) as server:
        client = client_of(server)
        with pytest.raises(ProtocolBroken):
            await get(client)
        assert client.free_slots == 256
        await client.aclose()


@pytest.mark.parametrize(
    "sent", [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", HEAD + b"5\r\nabc", b"HTTP/1.1 2", b""]
)
@pytest.mark.parametrize("rudely", [False, True])
async def test_a_connection_that_closes_inside_the_answer_is_an_error(sent, rudely):
    async def handler(talk):
        await talk.request()
        await talk.say(sent)
        if rudely:
            await asyncio.sleep(0.02)
            talk.reset()

    async with serving(handler) as server:
        client = client_of(server)
        with pytest.raises(ClosedEarly) as caught:
            await get(client)
        assert caught.value.received == len(sent)
        assert (client.free_slots, server.seen) == (256, 1)
        await client.aclose()


async def test_surplus_bytes_after_an_answer_close_the_connection():
    async with serving(always(answer(b"abc") + b"HTTP/1.1 2")) as server:
        client = client_of(server)
        assert [await get(client), await get(client)] == [b"abc", b"abc"]
        assert server.seen == 2
        await client.aclose()
