"""A request in another dialect reaches a server that speaks it untouched, and its bytes come back as they are."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from experts.base import SetupError
from experts.build import build
from policies.base import Accept, Ask, State
from tests.gateway.native_server import BODIES, EVENTS, MESSAGE, RESPONSE, WHOLE, Upstream, frame


@pytest.mark.parametrize("dialect", BODIES)
async def test_a_body_goes_to_a_server_of_its_dialect_with_only_the_model_changed(tmp_path, dialect):
    upstream = Upstream(dialect)
    async with upstream.served(tmp_path) as served:
        response = await served.http().post(f"/v1/{dialect}", json={**BODIES[dialect], "model": "auto"})

    assert upstream.bodies == [{**BODIES[dialect], "model": "theirs"}]
    assert upstream.heads[0].startswith(f"POST /v1/{dialect} HTTP/1.1".encode())
    assert response.json() == {**WHOLE[dialect], "model": "mine"}
    assert response.headers["x-lyceum-expert"] == "mine"
    assert response.headers["x-lyceum-cost"] == "0.000018000"  # 6 fresh, 4 cached, 5 said


async def test_anthropics_servers_are_given_the_key_and_a_version_in_their_own_headers(tmp_path):
    upstream = Upstream("messages")
    async with upstream.served(tmp_path) as served:
        await served.http().post("/v1/messages", json={**BODIES["messages"], "model": "auto"})

    head = upstream.heads[0].lower()
    assert b"x-api-key: k\r\n" in head
    assert b"anthropic-version: 2023-06-01\r\n" in head


@pytest.mark.parametrize("dialect", BODIES)
async def test_events_pass_through_byte_by_byte_but_for_the_models_name(tmp_path, dialect):
    upstream = Upstream(dialect)
    async with upstream.served(tmp_path) as served:
        response = await served.http().post(f"/v1/{dialect}", json={**BODIES[dialect], "model": "auto", "stream": True})

    sent = b"".join(upstream.events)
    assert response.content == sent.replace(b'"model":"big"', b'"model":"mine"')
    [row] = served.ledger("outcomes")
    assert (row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]) == (10, 5, 4)
    assert (row["cost"], row["finish_reason"]) == (18_000, "tool_calls")


@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize("cut", range(1, 16))
async def test_a_stream_that_a_server_cuts_is_never_said_to_be_complete(tmp_path, dialect, cut):
    """Row 8: before something was said another expert answers; after it the stream ends with an error."""
    whole = EVENTS[dialect]
    asked = {"input": "hi", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    body = {name: asked[name] for name in (("input",) if dialect == "responses" else ("messages", "max_tokens"))}
    async with Upstream(dialect, whole[: min(cut, len(whole) - 1)]).served(tmp_path) as served:
        response = await served.http().post(f"/v1/{dialect}", json={**body, "model": "auto", "stream": True})

    if response.headers["x-lyceum-expert"] == "chatty":
        assert b"plain" in response.content
    else:
        last = response.content.rstrip().rpartition(b"\n\n")[2]
        assert last.startswith((b"event: error\n", b"event: response.failed\n"))
        assert b"message_stop" not in response.content
        assert b"response.completed" not in response.content


@pytest.mark.parametrize(
    ("dialect", "event"),
    [
        ("responses", {"type": "error", "code": "server_error", "message": "boom", "param": None}),
        ("responses", {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "boom"}}}),
        ("messages", {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}}),
    ],
)
@pytest.mark.parametrize("said", [0, 9])
async def test_an_error_of_a_server_is_ours_to_tell_or_to_mend(tmp_path, dialect, event, said):
    before = EVENTS[dialect][:said] if dialect == "messages" or not said else EVENTS[dialect][:6]
    body: Any = {
        "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
        "responses": {"input": "hi"},
    }
    async with Upstream(dialect, [*before, frame(event)]).served(tmp_path) as served:
        response = await served.http().post(f"/v1/{dialect}", json={**body[dialect], "model": "auto", "stream": True})

    assert b"boom" not in response.content
    if said:
        assert response.headers["x-lyceum-expert"] == "mine"
        assert (b"event: error" if dialect == "messages" else b"event: response.failed") in response.content
    else:
        assert response.headers["x-lyceum-expert"] == "chatty"


async def test_what_only_a_server_of_the_dialect_can_be_told_goes_to_nobody_else(tmp_path):
    upstream = Upstream("responses")
    async with upstream.served(tmp_path) as served:
        body = {"model": "chatty", "input": "hi", "tools": [{"type": "web_search"}]}
        refused = await served.http().post("/v1/responses", json=body)
        taken = await served.http().post("/v1/responses", json={**body, "model": "auto"})

    assert refused.json()["error"]["code"] == "unsupported_feature"
    assert taken.headers["x-lyceum-expert"] == "mine"


async def test_a_response_of_a_server_is_kept_and_gone_on_from_with_all_its_items(tmp_path):
    upstream = Upstream("responses")
    async with upstream.served(tmp_path) as served:
        first = {"model": "auto", "input": "hi", "stream": True}
        await served.http().post("/v1/responses", json=first)
        kept = await served.http().get("/v1/responses/resp_theirs")
        body = {"model": "auto", "input": "and?", "previous_response_id": "resp_theirs", "metadata": {"a": "b"}}
        await served.http().post("/v1/responses", json=body)

    assert kept.json() == {**RESPONSE, "model": "mine"}
    again = upstream.bodies[1]
    assert "previous_response_id" not in again
    assert again["input"][1:5] == RESPONSE["output"]
    assert again["input"][5]["content"] == "and?"


async def test_a_previous_response_that_is_not_here_may_be_the_servers(tmp_path):
    upstream = Upstream("responses")
    async with upstream.served(tmp_path) as served:
        body = {"model": "auto", "input": "and?", "previous_response_id": "resp_of_theirs"}
        response = await served.http().post("/v1/responses", json=body)

    assert response.status_code == 200
    assert upstream.bodies[0]["previous_response_id"] == "resp_of_theirs"


async def test_tokens_are_counted_by_a_server_of_the_dialect(tmp_path):
    upstream = Upstream("messages")
    async with upstream.served(tmp_path) as served:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        response = await served.http().post("/v1/messages/count_tokens", json=body)

    assert response.json() == {"input_tokens": 77}
    assert "x-lyceum-estimated" not in response.headers
    assert upstream.bodies == [{**body, "model": "theirs"}]
    assert b"x-api-key: k\r\n" in upstream.heads[0].lower()


class Taken:
    """Asks everybody whole, and takes what `mine` says."""

    def decide(self, state: State) -> Ask | Accept:
        for found in state.answers:
            if found.expert == "mine":
                return Accept(found, "mine")
        return Ask(tuple(state.estimates), why="all")


@pytest.mark.parametrize("dialect", BODIES)
async def test_an_answer_that_was_asked_for_whole_is_streamed_with_everything_in_it(tmp_path, dialect):
    upstream = Upstream(dialect)
    async with upstream.served(tmp_path) as served:
        served.door.school.policies = {"taken": Taken()}
        body = {**BODIES[dialect], "model": "taken", "stream": True}
        response = await served.http().post(f"/v1/{dialect}", json=body)

    assert upstream.bodies[0]["stream"] is False
    events = [orjson.loads(line[6:]) for line in response.content.split(b"\n") if line.startswith(b"data: ")]
    if dialect == "responses":
        assert events[-1]["response"] == {**RESPONSE, "model": "mine"}
        assert [event["item"] for event in events if event["type"].endswith("item.done")] == RESPONSE["output"]
        assert [event["delta"] for event in events if "delta" in event] == ["hi\u2028there", "{}"]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
    else:
        starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
        assert starts == [block["type"] for block in MESSAGE["content"]]
        assert events[-2]["usage"] == MESSAGE["usage"]
        assert events[-1] == {"type": "message_stop"}


def test_an_unknown_dialect_is_an_error_that_names_its_key():
    with pytest.raises(SetupError, match="experts.big: dialects: there is no 'klingon'"):
        build(
            {"use": "experts.openai_http:OpenAIHTTP", "url": "http://x/v1", "dialects": ["klingon"]},
            "experts.big",
            {"name": "big"},
        )
