"""However an expert that was asked fails: who it was, which decision and what it cost are told, at every address that
asks anybody."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from experts import sse
from experts.base import BrokenOff, Declined, ExpertError, Rejected, Unavailable
from experts.openai_http import OpenAIHTTP
from gateway.chat import money
from gateway.money import Money
from policies.accounts import Accounts
from policies.cascade import Cascade
from policies.ensemble import Ensemble
from policies.limits import Limit
from tests.experts import raw
from tests.gateway.answers import Says, keeping, tool_call
from tests.gateway.conftest import CARD, Served, make_door, scripted, serving
from tests.gateway.endpoints import ALL
from tests.gateway.fuzz import PARTS
from tests.gateway.native_server import Upstream
from tests.policies.test_patience import locked

HI = [{"role": "user", "content": "hi"}]
ABOUT = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
FORM = {"content-type": "multipart/form-data; boundary=b"}
TALKING: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 9},
}
PASSED: dict[str, dict[str, Any] | None] = {
    "/v1/responses/compact": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/rerank": {"query": "a", "documents": ["b"]},
    "/v1/moderations": {"input": "hi"},
    "/v1/audio/speech": {"input": "hi", "voice": "v"},
    "/v1/images/generations": {"prompt": "hi"},
    "/v1/batches": {"input_file_id": "f", "endpoint": "/v1/x", "completion_window": "24h"},
    "/v1/batches/{id}/cancel": {},
    **dict.fromkeys(
        ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations")
    ),
    "/v1/files": None,
}
READ = ("/v1/files", "/v1/files/", "/v1/files/{id}/content", "/v1/batches", "/v1/batches/")
ASKING = {("POST", route) for route in (*TALKING, *PASSED)} | {("GET", route) for route in READ}
ASKING |= {("DELETE", "/v1/files/"), ("POST", "/v1/messages/count_tokens")}
ALONE = {
    *(
        ("GET", f"/v1/{name}")
        for name in ("models", "models/", "decisions/", "responses/", "responses/{id}/input_items")
    ),
    *(("GET", f"/{name}") for name in ("healthz", "readyz", "metrics", "openapi.json")),
    *(("POST", "/v1/route"), ("DELETE", "/v1/responses/"), ("POST", "/v1/responses/{id}/cancel")),
}
"""What the gateway answers without asking anybody; and all of /admin."""
KINDS: dict[str, type[ExpertError]] = {kind.reason: kind for kind in (Unavailable, Rejected, Declined, BrokenOff)}


async def test_every_address_is_known_to_ask_somebody_or_nobody(tmp_path):
    door = make_door(tmp_path, [scripted("one")])
    table = {route for route in door.handlers() if not route[1].startswith("/admin")}
    await door.stop()

    assert table == ASKING | ALONE
    assert not ASKING & ALONE


def spent(served: Served) -> int:
    return sum(row["cost"] or 0 for row in served.ledger("outcomes"))


async def explained(served: Served, headers: Any, expert: str) -> None:
    """The headers of an answer say what the ledger says."""
    assert headers["x-request-id"]
    assert headers["x-lyceum-expert"] == expert
    story = await served.http().get(f"/v1/decisions/{headers['x-lyceum-decision']}")
    assert story.status_code == 200, story.text
    if cost := spent(served):
        assert headers["x-lyceum-cost"] == money(cost).decode()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("route", TALKING)
async def test_a_failure_that_cost_money_says_so(tmp_path, route, kind, streamed):
    failing = [scripted(name, fail=KINDS[kind]("no", cost=1_500)) for name in ("one", "two")]
    async with serving(keeping(tmp_path, *failing)) as served:
        body = {"model": "auto", **TALKING[route], "stream": streamed}
        response = await served.http().post(route, json=body)

        assert response.status_code >= 400
        assert response.json()["error"]["message"]
        await explained(served, response.headers, "one" if kind == "rejected" else "two")
        assert spent(served) > 0


FAULTS = {
    "down": raw.answer(b'{"error": {"message": "down", "type": "x"}}', b"503 Service Unavailable"),
    "refused": raw.answer(b'{"error": {"message": "no", "type": "x"}}', b"422 Unprocessable Entity"),
    "busy": raw.answer(b'{"detail": "later"}', b"429 Too Many Requests"),
    "lost": raw.answer(b"<html>", b"500 Internal Server Error"),
    "gone": b"",
}


def talking(fault: bytes) -> raw.Handler:
    """A server that answers everything so."""

    async def handler(talk: raw.Talk) -> None:
        while True:
            await talk.request()
            if not fault:
                return
            await talk.say(fault)

    return handler


@pytest.mark.parametrize("fault", FAULTS)
async def test_at_every_address_that_asks_a_server_its_failure_is_explained(tmp_path, fault):
    async with raw.serving(talking(FAULTS[fault])) as server:
        expert = OpenAIHTTP("one", CARD, url=server.url + "/v1", paths=(*ALL, "/responses"))
        async with serving(keeping(tmp_path, expert)) as served:
            for method, route in sorted(ASKING - {("POST", "/v1/messages/count_tokens")}):
                path = route.replace("{id}", "i") + ("i" if route.endswith("/") else "")
                body = TALKING.get(route) or PASSED.get(route)
                about: dict[str, Any] = {} if method != "POST" else {"json": {"model": "auto", **(body or {})}}
                if method == "POST" and body is None:
                    about = {"content": PARTS.replace(b"first", b"one"), "headers": FORM}
                response = await served.http().request(method, path, **about)

                assert response.status_code >= 400, (method, route)
                await explained(served, response.headers, "one")


@pytest.mark.parametrize("served_by", ["callbacks", "coroutines"])
@pytest.mark.parametrize("route", TALKING)
async def test_a_stream_that_is_cut_ends_with_what_it_cost(tmp_path, route, served_by):
    async with raw.serving(cut) as server:
        able = OpenAIHTTP("one", CARD, url=server.url + "/v1")
        expert = able if served_by == "callbacks" else Says("one", {"content": "one two"}, error=BrokenOff("cut"))
        async with serving(keeping(tmp_path, expert)) as served:
            body = {"model": "auto", **TALKING[route], "stream": True}
            response = await served.http().post(route, json=body)
            cost = spent(served)

    last = orjson.loads(sse.Reader().feed(response.content)[-1].data)
    assert cost > 0
    assert last["lyceum"] == {"cost": cost / 1e9}
    assert "error" in last or last["response"]["status"] == "failed"
    assert response.headers["x-lyceum-expert"] == "one"


async def cut(talk: raw.Talk) -> None:
    """Says a word and leaves."""
    await talk.request()
    choice = {"index": 0, "delta": {"content": "one two"}, "finish_reason": None}
    event = b"data: " + orjson.dumps({**ABOUT, "choices": [choice]}) + b"\n\n"
    await talk.say(raw.STREAM_HEAD, *raw.chunked(event)[:-1], pause=0.05)


async def test_an_answer_that_makes_no_sense_in_the_dialect_is_paid_for_and_says_so(tmp_path):
    expert = Says("one", tool_call(0, "shell", '{"command":"ls"}'), reason="tool_calls")
    async with serving(keeping(tmp_path, expert)) as served:
        body = {"model": "auto", "input": "hi", "tools": [{"type": "custom", "name": "shell"}]}
        response = await served.http().post("/v1/responses", json=body)

        assert response.status_code == 502
        await explained(served, response.headers, "one")
        assert spent(served) > 0


@pytest.mark.parametrize("policy", [None, Cascade(0.99), Ensemble(2)], ids=repr)
@pytest.mark.parametrize("route", TALKING)
async def test_accounts_that_cannot_be_reached_are_a_503_whoever_was_to_be_asked(tmp_path, monkeypatch, route, policy):
    monkeypatch.setattr("policies.store_sqlite.SQLiteStore.patience", 0.05)
    store = tmp_path / "accounts.sqlite"
    door = make_door(tmp_path, [scripted("one"), scripted("two")], policy)
    door.school.books.money = Money(Accounts.open(store, (Limit("all", 5.0),)))
    await door.school.books.start()
    async with serving(door) as served:
        other = locked(store)
        response = await served.http().post(route, json={"model": "auto", **TALKING[route]})
        other.close()

    assert response.status_code == 503
    assert "x-lyceum-expert" not in response.headers  # nobody was asked


async def test_nobody_asked_is_nobody_named(tmp_path):
    async with serving(make_door(tmp_path, [scripted("one")])) as served:
        body = {"model": "auto", "messages": HI, "tools": [{"type": "function", "function": {"name": "f"}}]}
        wrong = await served.http().post("/v1/chat/completions", json={**body, "temperature": 9})
        alien = await served.http("nonsense").post("/v1/chat/completions", json=body)
        missing = await served.http().post("/v1/chat/completions", json={**body, "model": "nobody"})

    for response in (wrong, alien, missing):
        assert 400 <= response.status_code < 500
        assert response.headers["x-request-id"]
        assert not [name for name in response.headers if name.startswith("x-lyceum")]


async def test_a_count_by_an_expert_names_it(tmp_path):
    async with Upstream("messages").served(tmp_path) as served:
        counted = await served.http().post("/v1/messages/count_tokens", json={"model": "mine", "messages": HI})

    assert counted.json() == {"input_tokens": 77}
    assert counted.headers["x-lyceum-expert"] == "mine"
    assert counted.headers["x-lyceum-cost"] == "0.000000000"
