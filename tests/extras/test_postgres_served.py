"""A gateway whose budgets lie in a real PostgreSQL server that suffers all that a server can suffer (row 48)."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import asyncpg
import httpx2
import pytest

from bench.postgres_server import PostgresServer
from tests.gateway.processes import Gateway, running, until

CONFIG = """
[experts.paid]
use = "experts.openai_http:OpenAIHTTP"
url = "http://127.0.0.1:{port}/v1"
model = "ok"
price = {{ prompt = 1.0, completion = 2.0 }}
[accounts]
store_env = "LYCEUM_TEST_STORE"
answer_tokens = 60
[budgets.all]
usd = {usd}
period = "total"
"""
CALLS = 8
PATIENCE = 10.0
"""Seconds that clients wait, which is an error then: twice the accounts' own longest wait."""
BUDGET = 0.01
REFUSED = "budget_store_unavailable"


@pytest.fixture(scope="module")
def wall() -> Iterator[int]:
    command = [sys.executable, "-m", "bench.wall", "1.0"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


@contextmanager
def stopped(server: PostgresServer, how: signal.Signals = signal.SIGINT) -> Iterator[None]:
    server.stop(how)
    yield
    server.start()


@contextmanager
def crashed(server: PostgresServer) -> Iterator[None]:
    with stopped(server, signal.SIGQUIT):
        yield


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    server.freeze(True)
    yield
    server.freeze(False)


@contextmanager
def held(server: PostgresServer, *statements: str, connections: int = 1) -> Iterator[None]:
    """Others keep connections, and what they have locked."""
    loop = asyncio.new_event_loop()
    others = [loop.run_until_complete(asyncpg.connect(server.url)) for _ in range(connections)]
    for statement in statements:
        loop.run_until_complete(others[0].fetch(statement))
    for _ in range(40 if connections > 1 else 0):  # whatever the server lets go is taken, too
        try:
            others.append(loop.run_until_complete(asyncpg.connect(server.url)))
        except asyncpg.PostgresError:
            break
    yield
    for other in others:
        loop.run_until_complete(other.close(timeout=5))
    loop.close()


@contextmanager
def crowded(server: PostgresServer) -> Iterator[None]:
    """All connections are somebody else's."""
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lyceum'"
    with held(server, ours, connections=2):
        yield


@contextmanager
def locked(server: PostgresServer) -> Iterator[None]:
    """Somebody keeps every account locked."""
    with held(server, "BEGIN", "SELECT * FROM accounts FOR UPDATE", "SELECT * FROM reservations FOR UPDATE"):
        yield


@contextmanager
def deadlocked(server: PostgresServer) -> Iterator[None]:
    """Somebody takes the same rows in the other order, again and again."""
    over, began = threading.Event(), threading.Event()

    async def lock() -> None:
        other = await asyncpg.connect(server.url)
        while not over.is_set():
            with suppress(asyncpg.DeadlockDetectedError):
                async with other.transaction():
                    await other.fetch("SELECT * FROM accounts FOR UPDATE")
                    began.set()
                    await asyncio.sleep(0.05)
                    await other.fetch("SELECT * FROM reservations FOR UPDATE")
        await other.close()

    with ThreadPoolExecutor(1) as threads:
        locking = threads.submit(asyncio.run, lock())
        began.wait()
        yield
        over.set()
        locking.result()


FAULTS: dict[str, Callable[[PostgresServer], AbstractContextManager[None]]] = {
    "stopped": stopped,
    "crashed": crashed,
    "frozen": frozen,
    "out of connections": crowded,
    "locked": locked,
    "deadlocked": deadlocked,
}


def asked(gateway: Gateway, client: httpx2.Client) -> str:
    """`answered`, or the error's code."""
    response = gateway.ask(client, "paid", "what is left")
    return "answered" if response.status_code == 200 else str(response.json()["error"]["code"])


def together(gateway: Gateway, client: httpx2.Client) -> Counter[str]:
    """Several at once."""
    with ThreadPoolExecutor(CALLS) as threads:
        return Counter(threads.map(lambda _: asked(gateway, client), range(CALLS)))


async def counted_deadlocks(server: PostgresServer) -> int:
    """How many the server has resolved."""
    connection = await asyncpg.connect(server.url)
    found: int = await connection.fetchval("SELECT sum(deadlocks)::int FROM pg_stat_database")
    await connection.close()
    return found


def test_a_store_that_fails_is_told_and_nothing_is_overspent_row_48(tmp_path, monkeypatch, wall):
    settings = {"max_connections": "12", "superuser_reserved_connections": "0", "deadlock_timeout": "20ms"}
    with PostgresServer(**settings) as server:
        monkeypatch.setenv("LYCEUM_TEST_STORE", server.url)
        with running(tmp_path, CONFIG.format(port=wall, usd=BUDGET), workers=0) as gateway, gateway.client() as client:
            client.timeout = PATIENCE
            codes = {}
            for fault, suffers in FAULTS.items():
                with suffers(server):
                    codes[fault] = together(gateway, client)
                until(lambda: asked(gateway, client) == "answered")
            while (last := asked(gateway, client)) == "answered":
                pass
            log = gateway.log.read_text()
            deadlocks = asyncio.run(counted_deadlocks(server))
        bill = httpx2.get(f"http://127.0.0.1:{wall}/bill").json()

    for fault, counted in codes.items():
        assert counted.keys() <= {"answered", REFUSED}, f"{fault}: a slice in memory may pay, all else is refused"
        assert counted[REFUSED] > 0 or fault == "deadlocked", fault
    assert deadlocks > 0
    assert last == "budget_exceeded"
    assert sum(call["cost"] for call in bill) <= BUDGET * 1e9
    assert "Traceback" not in log
