"""A long conversation made short: by an expert that can, with openai's own client; else one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from gateway.stored import Stored
from tests.gateway.endpoints import gateway, json_reply

USER: Any = {"id": "msg_1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
COMPACTED: dict[str, Any] = {
    "id": "resp_theirs",
    "object": "response.compaction",
    "created_at": 1,
    "output": [{**USER, "status": "completed"}, {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAA=="}],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 110,
    },
}
USERS = ("CompactedResponse",)
"""OpenAI gives back what users said, too, for which its own types have no room."""
REPLIES = {"/v1/responses/compact": json_reply(COMPACTED)}


def keeping(folder: Path) -> Any:
    """Makes a door keep responses."""

    def change(door: Any) -> None:
        door.stored = Stored(folder / "responses.sqlite", 30.0)

    return change


async def test_an_expert_that_can_compacts_and_is_paid_for_it(tmp_path):
    async with gateway(tmp_path, REPLIES, paths=("/responses",)) as (served, seen):
        served.theirs = USERS
        response = await served.openai().responses.with_raw_response.compact(model="auto", input=[USER])
        made = response.parse()
        rows = served.ledger("outcomes")

    assert made.output[1].type == "compaction"
    assert made.output[1].encrypted_content == "gAAA=="
    method, path, _, body = seen[0]
    assert (method, path) == ("POST", "/v1/responses/compact")
    assert orjson.loads(body) == {"model": "their-model", "input": [USER]}
    assert (response.headers["x-lyceum-expert"], response.headers["x-lyceum-cost"]) == ("server", "0.000120000")
    assert rows[0]["cost"] == 120_000


async def test_a_conversation_that_is_kept_here_is_sent_in_full(tmp_path):
    async with gateway(tmp_path, REPLIES, paths=("/responses",), change=keeping(tmp_path)) as (served, seen):
        served.theirs = USERS
        client = served.openai().responses
        first = await client.create(model="talker", input="hello")
        await client.compact(model="server", previous_response_id=first.id)
        await client.compact(model="server", previous_response_id=first.id, input="and this", instructions="be brief")

    alone, more = (orjson.loads(body) for _, _, _, body in seen)
    assert [(item["role"], item["type"]) for item in alone["input"]] == [("user", "message"), ("assistant", "message")]
    assert "previous_response_id" not in alone
    assert more["input"][2] == {"type": "message", "role": "user", "content": "and this"}
    assert more["instructions"] == "be brief"


async def test_what_is_not_kept_here_is_the_server_s_business(tmp_path):
    async with gateway(tmp_path, REPLIES, paths=("/responses/compact",)) as (served, seen):
        served.theirs = USERS
        await served.openai().responses.compact(model="auto", previous_response_id="resp_of_theirs")

    assert orjson.loads(seen[0][3])["previous_response_id"] == "resp_of_theirs"


@pytest.mark.parametrize("model", ["auto", "server", "talker"])
async def test_experts_that_only_chat_have_nothing_to_compact_into(tmp_path, model):
    async with gateway(tmp_path, REPLIES, paths=()) as (served, seen):
        with pytest.raises(openai.NotFoundError) as caught:
            await served.openai().responses.compact(model=model, input="hi")

    assert caught.value.code == "endpoint_not_served"
    assert "/responses/compact" in str(caught.value)
    assert seen == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi"}, "model"),
        ({"model": "auto"}, "input"),
        ({"model": "auto", "input": 1}, "input"),
        ({"model": "auto", "input": []}, "input"),
        ({"model": "auto", "previous_response_id": 1}, "previous_response_id"),
    ],
)
async def test_what_is_no_conversation_is_refused_with_its_place(tmp_path, body, param):
    async with gateway(tmp_path, REPLIES, paths=("/responses",)) as (served, _):
        response = await served.http().post("/v1/responses/compact", json=body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
