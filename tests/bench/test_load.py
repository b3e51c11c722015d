"""The load generator's arithmetic: percentiles, latency from the due time, answers cut anywhere."""

import asyncio
import statistics
import subprocess
import sys
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.speed import upstream
from bench.speed.arithmetic import difference, middle, percentile, spread
from bench.speed.load import carry_out
from bench.speed.many import CYCLE, UNKNOWN_KEY, UNKNOWN_MODEL, Clients
from bench.speed.processes import cores, cpu_seconds, end, line_of, memory_bytes, python, start
from bench.speed.runs import Open
from bench.speed.targets import Target
from bench.speed.targets import upstream as upstream_process
from bench.speed.wire import Asker, Payload

SECONDS = st.floats(0, 1000)


@given(st.lists(SECONDS, min_size=1), st.floats(0, 1))
def test_a_percentile_lies_between_the_smallest_and_the_largest(values, share):
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found is not None
    assert ordered[0] <= found * (1 + 1e-12)
    assert found <= ordered[-1] * (1 + 1e-12)


@given(st.lists(SECONDS, min_size=2))
def test_percentiles_are_those_of_the_statistics_module(values):
    expected = statistics.quantiles(values, n=100, method="inclusive")
    assert percentile(sorted(values), 0.99) == pytest.approx(expected[98])
    assert percentile(sorted(values), 0.5) == pytest.approx(statistics.median(values))


def test_nothing_has_no_percentile_and_no_difference():
    assert spread([]) == {"p50": None, "p90": None, "p99": None, "max": None}
    assert difference(None, 1.0) is None
    assert difference(3.0, 1.0) == 2.0


def test_runs_are_merged_by_their_medians_and_their_errors_summed():
    runs = [{"a": each, "deep": {"b": each}, "errors": {"x": 1}, "none": None} for each in (1, 5, 3)]
    assert middle(runs) == {"a": 3, "deep": {"b": 3}, "errors": {"x": 3}, "none": None}


TARGET = Target("direct", 1).wire()


@pytest.mark.parametrize("size", [300, 1434, 97_000])
def test_every_request_has_a_number_of_its_own_and_the_size_that_was_asked_for(size):
    payload = Payload(TARGET, size)
    requests = [payload.next() for _ in range(3)]
    bodies = [orjson.loads(request.partition(b"\r\n\r\n")[2]) for request in requests]
    assert len({body["messages"][1]["content"] for body in bodies}) == 3
    assert all(upstream.size_of(request) == len(request) for request in requests)
    assert {len(request.partition(b"\r\n\r\n")[2]) for request in requests} == {max(size, 300)} or size < 400


def test_requests_may_be_all_alike():
    payload = Payload(TARGET, 500, same=True)
    assert payload.next() == payload.next()


def test_two_windows_have_no_prompt_in_common_where_that_matters():
    one, other = Payload(TARGET, 500), Payload(TARGET, 500, first=100)
    assert {one.next() for _ in range(100)}.isdisjoint(other.next() for _ in range(100))


def test_of_many_clients_some_have_keys_or_models_that_nobody_knows():
    clients = Clients(TARGET, 600, 1000, 0)
    requests = [clients.next() for _ in range(CYCLE)]
    assert b"Bearer lyc-000000000000" in requests[UNKNOWN_KEY]
    assert b'"model":"model-000000000001"' in requests[UNKNOWN_MODEL]
    assert all(upstream.size_of(request) == len(request) for request in requests)


@given(st.integers(0, 400))
def test_a_request_is_read_when_its_last_byte_is_there_and_not_before(cut):
    request = Payload(TARGET, 300).next()
    assert upstream.size_of(request[:-1][:cut]) == 0
    assert upstream.size_of(request + b"POST /next") == len(request)


def test_a_chunked_request_is_read_to_its_end():
    request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert upstream.size_of(request) == len(request)
    assert upstream.size_of(request[:-1]) == 0


PLAIN = upstream.PLAIN
CHUNKED = upstream.HEAD + upstream.stamped() + upstream.LAST + upstream.DONE


@given(st.sampled_from([PLAIN, CHUNKED]), st.lists(st.integers(0, len(CHUNKED)), max_size=6))
def test_an_answer_is_whole_once_however_it_is_cut(answer, cuts):
    ended = []
    asker = Asker(lambda each: ended.append(each.failed))
    asker.busy = True
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    for begin, until in zip(places, places[1:], strict=False):
        assert ended == []
        asker.data_received(answer[begin:until])
    assert ended == [""]
    assert not asker.busy


def test_what_is_no_200_and_what_breaks_off_is_an_error():
    ended = []
    asker = Asker(lambda each: ended.append(each.failed))
    asker.busy = True
    asker.data_received(b"HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\n\r\n{}")
    asker.busy = True
    asker.data_received(PLAIN[:-5])
    asker.connection_lost(None)
    assert ended == ["status 429", "connection closed"]


class Held(asyncio.Protocol):
    """A server that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.go = False
        self.owed = 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.owed += 1
        self.answer()

    def answer(self):
        while self.go and self.owed:
            self.owed -= 1
            self.transport.write(PLAIN)


async def test_latency_counts_from_the_time_at_which_a_request_was_due():
    """A server that stalls makes all requests late that fell due meanwhile, not only the one that it holds."""
    held = Held()
    server = await asyncio.get_running_loop().create_server(lambda: held, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    job = {"target": Target("held", port).wire(), "size": 500, "connections": 1, "rate": 100.0, "warm": 0.0}
    run = Open({**job, "seconds": 0.2})
    task = asyncio.create_task(run.run(lambda: None))
    while len(run.waiting) < 10:
        await asyncio.sleep(0.01)
    held.go = True
    held.answer()
    figures = await task
    server.close()
    late = sorted(run.window.latency, reverse=True)
    assert figures["requests"] >= 10
    assert late[0] >= 0.09
    assert all(late[i] >= 0.09 - 0.01 * i for i in range(9)), "each was due 10 ms after the one before"
    assert figures["errors"] == {}


BURN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", '''
import time
while time.process_time() < 0.3:
    pass
print("burnt", flush=True)
time.sleep(60)
'''], stdout=subprocess.PIPE)
print(child.stdout.readline().decode().strip(), flush=True)
child.wait()
"""


def test_the_cpu_and_memory_of_a_process_are_those_of_its_whole_tree():
    process = start([sys.executable, "-c", BURN], cores()[1], stdout=subprocess.PIPE)
    assert line_of(process.stdout) == "burnt"
    assert cpu_seconds(process.pid) >= 0.3
    assert memory_bytes(process.pid) > 5_000_000
    end(process)
    assert cpu_seconds(process.pid) == 0.0


async def test_each_kind_of_load_is_counted_against_the_upstream():
    with upstream_process() as direct:
        usual = {"target": direct.wire(), "size": 600, "connections": 4, "seconds": 0.1, "warm": 0.02}
        jobs = [
            {**usual, "kind": "closed", "pid": direct.pid},
            {**usual, "kind": "closed", "count": 50},
            {**usual, "kind": "open", "rate": 200.0},
            {**usual, "kind": "streams", "every_us": 2000, "chunks": 20, "warm": 0.0},
        ]
        closed, counted, opened, streams = [await carry_out(job) for job in jobs]
    assert closed["requests"] > 0
    assert counted["requests"] == 50
    assert opened["requests"] > 0
    assert streams["chunks"] == 80
    assert 0 < streams["delay_us"]["p50"] <= streams["delay_us"]["p99"]
    assert {str(each["errors"]) for each in (closed, counted, opened, streams)} == {"{}"}


class Late(upstream.Upstream):
    """Answers and begins streams 0.3 s late, as a gateway does that gets no processor time."""

    def answer(self, request):
        streamed = upstream.STREAMED.search(request) is not None
        said = upstream.HEAD + upstream.stamped() if streamed else PLAIN
        asyncio.get_running_loop().call_later(0.3, self.transport.write, said)

    def connection_lost(self, exc):
        self.transport.abort()


async def test_a_window_stays_open_for_answers_and_first_chunks_that_are_late():
    server = await asyncio.get_running_loop().create_server(Late, "127.0.0.1", 0)
    usual = {"target": Target("late", server.sockets[0].getsockname()[1]).wire(), "size": 600, "connections": 4}
    short = {**usual, "seconds": 0.05, "warm": 0.0}
    closed = await carry_out({**short, "kind": "closed"})
    streams = await carry_out({**short, "kind": "streams", "every_us": 2000})
    server.close()
    await asyncio.sleep(0.02)
    assert (closed["requests"] >= 4, closed["errors"]) == (True, {})
    assert closed["seconds"] >= 0.3
    assert (streams["chunks"], streams["errors"]) == (4, {})
    assert streams["seconds"] >= 0.3


def test_a_stamp_is_the_clock_that_all_processes_share():
    before = time.monotonic_ns()
    stamp = int(upstream.stamped().split(b"@")[1])
    assert before <= stamp <= time.monotonic_ns()
    assert python("x", "y") == [sys.executable, "-m", "x", "y"]
