"""Addresses, caps and what the operator sees."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ERRORS, APIError
from policies.record import Record
from tests.gateway.conftest import make_door, scripted, serving

OPEN = {("GET", "/healthz"), ("GET", "/readyz")}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405), ("PUT", "/v1/models", 405)],
)
async def test_what_is_not_there_is_refused_in_openais_form(served, method, path, status):
    response = await served.http().request(method, path)

    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "code", "param"}
    assert response.headers["x-request-id"]


async def test_every_route_denies_a_caller_without_a_key_but_for_the_health_checks(served):
    """Row 61."""
    for method, path in served.door.handlers():
        response = await served.http(None).request(method, path, content=b"{}")

        assert (response.status_code == 401) == ((method, path) not in OPEN), path


async def test_a_body_over_the_cap_is_a_413_in_json_whether_its_length_is_told_or_not(tmp_path):
    """Row 24."""

    async def drip():
        for _ in range(40):
            yield b" " * 65_536

    async with serving(make_door(tmp_path, [scripted("one")]), body_mb=1) as served:
        for content in (b" " * 2_000_000, drip()):
            response = await served.http().post("/v1/chat/completions", content=content)

            assert response.status_code == 413
            assert response.json()["error"]["code"] == "request_too_large"


async def test_a_compressed_body_is_a_415(served):
    """Row 25."""
    headers = {"content-encoding": "gzip"}
    response = await served.http().post("/v1/chat/completions", content=b"x", headers=headers)

    assert response.status_code == 415


async def test_the_door_says_when_it_is_ready(served):
    served.door.ready = False
    starting = await served.http(None).get("/readyz")
    served.door.ready = True
    ready = await served.http(None).get("/readyz")

    assert (starting.status_code, ready.status_code) == (503, 200)
    assert ready.json()["experts"] == {"first": True, "second": True}


async def test_metrics_count_with_closed_labels(served):
    """Row 65: no text of a request becomes a label."""
    await served.ask(model="auto")
    await served.ask(model="canary-model")
    await served.http().get("/canary-path")

    page = (await served.http().get("/metrics")).text

    assert 'lyceum_outcomes_total{expert="first",outcome="answered"} 1.0' in page
    assert 'lyceum_requests_total{route="/v1/chat/completions",status="404"} 1.0' in page
    assert 'lyceum_requests_total{route="other",status="404"} 1.0' in page
    assert "canary" not in page


async def test_many_clients_at_once_are_all_answered_and_recorded(served):
    client = served.http()  # one for all: each client makes a TLS context of its own
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    asks = (client.post("/v1/chat/completions", json=body | {"stream": i % 2 == 0}) for i in range(50))
    answers = await asyncio.gather(*asks)

    assert {answer.status_code for answer in answers} == {200}
    assert len(served.ledger("decisions")) == len(served.ledger("outcomes")) == 50


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_has_a_status_a_sentence_and_retry_advice_where_it_helps(code):
    error = APIError(code)
    headers = dict(error.all_headers())

    assert 400 <= error.http_status < 600
    assert error.body()["error"]["message"].endswith(".")
    if error.http_status >= 500 or error.http_status == 429:
        assert headers[b"x-should-retry"] in (b"true", b"false")


@pytest.mark.parametrize("name", ["d1", "x" * 24, "0" * 25, "%2e%2e"])
async def test_a_name_that_no_gateway_made_is_not_looked_for_in_the_whole_ledger(served, monkeypatch, name):
    monkeypatch.setattr(Record, "explain", None)
    response = await served.http().get(f"/v1/decisions/{name}")

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "decision_not_found"
