"""Whatever bytes come, no answer is a 5xx of ours, and every error has its form (rows 26, 31 to 38)."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway import fuzz

COUNT = int(os.environ.get("LYCEUM_INPUTS", "100000"))
LINES = st.sampled_from(
    [b"POST /v1/chat/completions HTTP/1.1\r\n", b"GET /v1/models HTTP/1.1\r\n", b"POST /v1/files HTTP/1.0\r\n"]
    + [b"authorization: Bearer lyc-test-key\r\n", b"content-length: 2\r\n", b"transfer-encoding: chunked\r\n", b"\r\n"]
    + [b"2\r\n{}\r\n0\r\n\r\n", b"{}", b'{"model":"auto"}', b" folded: x\r\n", b"host: x\r\n", b"\n", b"\r"]
)


@pytest.mark.timeout(600)
def test_a_hundred_thousand_inputs_bring_no_error_of_ours():
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        statuses = set().union(*pool.map(fuzz.thrown, [COUNT // 2] * 2, [20_260, 20_261]))

    assert max(statuses) < 500
    assert {200, 400, 401, 404, 405, 415} <= statuses


def test_any_bytes_in_any_pieces_are_answered_or_refused(tmp_path):
    with asyncio.Runner() as runner:
        context = fuzz.target(tmp_path)
        app = runner.run(context.__aenter__())

        @settings(max_examples=1500, deadline=None)
        @given(st.lists(LINES | st.binary(max_size=30), min_size=1, max_size=12))
        def check(pieces):
            sent = runner.run(fuzz.answers(app, pieces))
            assert fuzz.complaint(sent, b"".join(pieces).count(b"HTTP/1.") + 2) == ""

        check()
        runner.run(context.__aexit__(None, None, None))


def test_what_is_wrong_would_be_seen_and_a_seed_brings_the_same_again():
    head = b"HTTP/1.1 %d X\r\nx-request-id: a\r\ncontent-length: 2\r\n\r\n{}"
    assert fuzz.complaint(head % 500, 1) == "status 500"
    assert "form" in fuzz.complaint(head % 400, 1)
    assert fuzz.complaint(head % 200 + head % 200, 1) == "2 answers"
    assert fuzz.complaint(b"HTTP/1.1 200 X\r\na: b\r\n\r\n", 1) == "no x-request-id"
    routes = [("POST", "/v1/chat/completions"), ("GET", "/v1/files/")]
    assert list(islice(fuzz.inputs(3, routes), 50)) == list(islice(fuzz.inputs(3, routes), 50))
