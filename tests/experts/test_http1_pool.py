"""The pool of the HTTP/1.1 client: capped, fair, whole after any number of cancels, and wary of stale connections."""

import asyncio
import os
import random
import socket
import ssl
import subprocess

import pytest

from experts.http1 import Client
from experts.http1_exchange import ClosedEarly, ConnectFailed, ProtocolBroken, TimedOut, TooBusy
from tests.experts.raw import STREAM_HEAD as HEAD
from tests.experts.raw import Server, always, answer, chunked, client_of, get, none_open, serving, silent, stall

CANCELS = int(os.environ.get("LYCEUM_CANCELS", "5000"))


async def test_bytes_that_nobody_asked_for_close_the_connection():
    told = asyncio.Event()

    async def handler(talk):
        await talk.request()
        await talk.say(answer(b"abc"))
        await told.wait()
        await talk.say(answer(b"forged"))
        await talk.closed()

    async with serving(handler) as server:
        client = client_of(server)
        await get(client)
        told.set()
        await none_open(server)
        assert await get(client) == b"abc"
        await client.aclose()


@pytest.mark.parametrize("rudely", [False, True])
async def test_a_kept_connection_that_the_server_just_closed_is_tried_again_on_a_new_one(rudely):
    """Row 19."""

    async def handler(talk):
        await talk.request()
        await talk.say(answer(b"%d" % talk.number))
        if talk.number == 1:
            await talk.request()
            if rudely:
                talk.reset()
            return
        await talk.closed()

    async with serving(handler) as server:
        client = client_of(server, connections=1)
        assert [await get(client), await get(client)] == [b"1", b"2"]
        assert client.free_slots == 1
        await client.aclose()


async def test_a_kept_connection_that_closed_while_idle_is_not_used_again():
    """Row 19: the client sees no error however the close and the next request race."""

    async def handler(talk):
        await talk.request()
        await talk.say(answer(b"abc"))
        await asyncio.sleep(0.0005 * (talk.number % 5))

    async with serving(handler) as server:
        client = client_of(server)
        for turn in range(200):
            assert await get(client) == b"abc"
            await asyncio.sleep(0.0005 * (turn % 3))
        await client.aclose()


async def test_the_second_try_is_the_last_and_a_new_connection_gets_none():
    """Row 19."""

    async def handler(talk):
        await talk.request()
        if talk.number == 1:
            await talk.say(answer(b"abc"))
            await talk.request()

    async with serving(handler) as server:
        client = client_of(server)
        await get(client)
        with pytest.raises(ClosedEarly):
            await get(client)
        assert server.seen == 2
        with pytest.raises(ClosedEarly):
            await get(client)
        assert server.seen == 3
        await client.aclose()


async def test_a_kept_connection_that_closes_after_a_byte_of_the_answer_is_not_tried_again():
    """Row 19."""

    async def handler(talk):
        await talk.request()
        await talk.say(answer(b"abc"))
        await talk.request()
        await talk.say(b"H")

    async with serving(handler) as server:
        client = client_of(server)
        await get(client)
        with pytest.raises(ClosedEarly):
            await get(client)
        assert server.seen == 1
        await client.aclose()


async def test_a_refused_connection_is_an_error_at_once_and_frees_its_slot():
    """Row 4."""
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", connections=2)
    results = await asyncio.gather(*(get(client) for _ in range(10)), return_exceptions=True)
    assert {type(result) for result in results} == {ConnectFailed}
    assert str(port) not in str(results[0])
    assert client.free_slots == 2
    await client.aclose()


async def hang_up(talk):
    pass


async def greet(talk):
    await talk.say(b"220 mail.example ESMTP\r\n")
    await talk.closed()


@pytest.mark.parametrize("handler", [hang_up, greet])
async def test_a_server_that_hangs_up_or_speaks_first_is_an_error_and_no_endless_redial(handler):
    async with serving(handler) as server:
        client = client_of(server, connections=2)
        for _ in range(5):
            with pytest.raises((ConnectFailed, ClosedEarly, ProtocolBroken)):
                await get(client)
        assert server.seen == 5
        assert client.free_slots == 2
        await client.aclose()


async def test_never_more_connections_than_the_cap_and_everybody_is_served():
    most = 0

    async def handler(talk):
        nonlocal most
        most = max(most, server.open)
        while True:
            await talk.request()
            await talk.say(answer(b"abc"), pause=0.001)

    async with serving(handler) as server:
        client = client_of(server, connections=3)
        assert await asyncio.gather(*(get(client) for _ in range(50))) == [b"abc"] * 50
        assert most == 3
        assert client.free_slots == 3
        await client.aclose()


async def test_more_waiting_requests_than_the_cap_are_refused_at_once():
    async with serving(silent) as server:
        client = client_of(server, connections=1, waiting=2)
        tasks = [asyncio.create_task(get(client)) for _ in range(3)]
        await asyncio.sleep(0.02)
        tasks[1].cancel()
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(get(client)))
        await asyncio.sleep(0)
        with pytest.raises(TooBusy):
            await get(client)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.aclose()


async def test_cancels_at_random_points_lose_no_slot():
    """Row 18. So many are counted as have really been cancelled; several clients keep the processor busy meanwhile."""
    chance, cancelled = random.Random(18), 0

    async def handler(talk):
        while True:
            await talk.request()
            await asyncio.sleep(chance.choice((0, 0, 0.001)))
            await talk.say(HEAD, *chunked(b"a" * 10, b"b" * 10), pause=chance.choice((0, 0, 0.0005)))

    async def impatient(client: Client) -> None:
        nonlocal cancelled
        try:
            async with asyncio.timeout(chance.random() * 0.01):
                await get(client)
        except TimeoutError:
            cancelled += 1

    async def crowd(server: Server) -> None:
        client = client_of(server, connections=10)
        while cancelled < CANCELS:
            await asyncio.gather(*(impatient(client) for _ in range(20)))
        assert await asyncio.gather(*(get(client) for _ in range(20))) == [b"a" * 10 + b"b" * 10] * 20
        async with asyncio.timeout(10):
            while client.free_slots < 10:  # some are still being made for who has left
                await asyncio.sleep(0.001)
        assert client.free_slots == 10
        await client.aclose()

    async with serving(handler) as server:
        base = len(asyncio.all_tasks())
        await asyncio.gather(*(crowd(server) for _ in range(3)))
        await get(last := client_of(server))  # accepted in turn: all connections that were made before have been
        await last.aclose()
        await none_open(server)
        assert len(asyncio.all_tasks()) <= base


async def test_leaving_early_closes_the_connection_and_letting_it_end_keeps_it():
    async def handler(talk):
        while True:
            await talk.request()
            await talk.say(HEAD, b"1\r\na\r\n", b"1\r\nb\r\n0\r\n\r\n", pause=0.02)

    async with serving(handler) as server:
        client = client_of(server)
        for expected in (1, 2):
            async with client.request("GET", "/", {}) as response:
                assert await anext(response) == b"a"
            assert server.seen == expected
        await none_open(server)
        async with client.request("GET", "/", {}) as response:
            await anext(response)
            response.let_end(1.0)
        assert client.free_slots == 255
        while client.free_slots < 256:
            await asyncio.sleep(0.001)
        await get(client)
        assert server.seen == 3
        await client.aclose()


async def test_closing_the_client_fails_what_is_under_way_and_it_may_be_used_again():
    async with serving(stall) as server:
        client = client_of(server)
        tasks = [asyncio.create_task(get(client)) for _ in range(5)]
        await asyncio.sleep(0.02)
        tasks += [asyncio.create_task(get(client)) for _ in range(5)]
        await asyncio.sleep(0)
        await client.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {ClosedEarly}
        assert client.free_slots == 256
        await none_open(server)
        with pytest.raises(TimedOut):
            await get(client, idle=0.02)
        await client.aclose()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", *options, *names, "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


async def test_tls_is_spoken_with_a_server_of_a_trusted_name_only(certificate):
    """Row 4."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(*certificate)
    trust = ssl.create_default_context(cafile=certificate[0])
    async with serving(always(HEAD, *chunked(b"a" * 100_000, b"b")), ssl=own) as server:
        client = Client(f"https://localhost:{server.port}", tls=trust)
        assert [len(await get(client)) for _ in range(3)] == [100_001] * 3
        assert server.seen == 1
        await client.aclose()
        for url, context in ((f"https://127.0.0.1:{server.port}", trust), (f"https://localhost:{server.port}", None)):
            stranger = Client(url, connections=1, tls=context)
            with pytest.raises(ConnectFailed, match="no trusted TLS"):
                await get(stranger)
            assert stranger.free_slots == 1
            await stranger.aclose()


async def test_a_kept_connection_that_is_closed_but_not_yet_lost_is_passed_over():
    async with serving(always(answer(b"abc"))) as server:
        client = client_of(server, connections=1)
        await get(client)
        (connection,) = client.idle
        connection.transport.abort()
        assert await get(client) == b"abc"
        assert client.free_slots == 1
        await client.aclose()
