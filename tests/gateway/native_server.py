"""A server that speaks one dialect besides chat: what it says, and what it remembers to have been asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from experts.card import Card, Price
from experts.openai_http import OpenAIHTTP
from tests.experts import raw
from tests.experts.raw import STREAM_HEAD, Talk, answer, chunked
from tests.gateway.answers import Says, keeping
from tests.gateway.conftest import Served, serving

RESPONSE: dict[str, Any] = {
    "id": "resp_theirs",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "model": "big",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "secret=="},
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hi\u2028there", "annotations": []}],
        },
        {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
    ],
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    },
    "field_of_tomorrow": [1],
}
MESSAGE: dict[str, Any] = {
    "id": "msg_theirs",
    "type": "message",
    "role": "assistant",
    "model": "big",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"x": 1}},
        {"type": "block_of_tomorrow", "x": 1},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": 5},
}


def frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def numbered(*events: dict[str, Any]) -> list[bytes]:
    return [frame({**event, "sequence_number": number}) for number, event in enumerate(events)]


BEGUN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
ITEM = {"output_index": 2, "item_id": "msg_1", "content_index": 0}
RESPONSE_EVENTS = numbered(
    {"type": "response.created", "response": BEGUN},
    {"type": "response.output_item.added", "output_index": 1, "item": RESPONSE["output"][1]},
    {"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1"},
    {
        "type": "response.reasoning_summary_text.delta",
        "output_index": 0,
        "summary_index": 0,
        "item_id": "rs_1",
        "delta": "hm",
    },
    {"type": "response.output_text.delta", **ITEM, "delta": "hi\u2028there", "logprobs": [], "x_of_tomorrow": "xyz"},
    {"type": "response.output_item.added", "output_index": 3, "item": RESPONSE["output"][3]},
    {"type": "response.function_call_arguments.delta", "output_index": 3, "item_id": "fc_1", "delta": "{}"},
    {"type": "response.event_of_tomorrow"},
    {"type": "response.completed", "response": RESPONSE},
)
START = {**MESSAGE, "content": [], "stop_reason": None, "usage": {**MESSAGE["usage"], "output_tokens": 1}}
MESSAGE_EVENTS = [
    frame(event)
    for event in (
        {"type": "message_start", "message": START},
        {"type": "ping"},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {**MESSAGE["content"][2], "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"x": 1}'}},
        {"type": "content_block_stop", "index": 2},
        {"type": "content_block_start", "index": 3, "content_block": MESSAGE["content"][3]},
        {"type": "content_block_stop", "index": 3},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    )
]

WHOLE = {"responses": RESPONSE, "messages": MESSAGE}
EVENTS = {"responses": RESPONSE_EVENTS, "messages": MESSAGE_EVENTS}
BODIES: dict[str, dict[str, Any]] = {
    "responses": {
        "model": "big",
        "input": [
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            {"role": "user", "content": [{"type": "input_text", "text": "hi", "extra": 1}]},
        ],
        "tools": [
            {"type": "web_search"},
            {"type": "custom", "name": "patch", "format": {"type": "grammar"}},
            {"type": "namespace", "name": "n", "tools": []},
        ],
        "include": ["reasoning.encrypted_content"],
        "metadata": {"a": "b"},
        "field_of_tomorrow": None,
    },
    "messages": {
        "model": "big",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "citations": None}]}],
        "tools": [{"type": "web_search_20260101", "name": "web_search"}],
        "thinking": {"type": "adaptive"},
        "field_of_tomorrow": {"x": 1},
    },
}


class Upstream:
    """A server of one dialect besides chat, that remembers what it was asked."""

    def __init__(self, dialect: str, events: list[bytes] | None = None) -> None:
        self.dialect, self.events = dialect, EVENTS[dialect] if events is None else events
        self.heads: list[bytes] = []
        self.bodies: list[dict[str, Any]] = []

    async def handle(self, talk: Talk) -> None:
        while True:
            head, body = await talk.request()
            self.heads.append(head)
            self.bodies.append(orjson.loads(body))
            if b"count_tokens" in head:
                await talk.say(answer(b'{"input_tokens": 77}'))
            elif self.bodies[-1].get("stream"):
                await talk.say(STREAM_HEAD, *chunked(*self.events))
            else:
                await talk.say(answer(orjson.dumps(WHOLE[self.dialect])))

    @asynccontextmanager
    async def served(self, folder: Path) -> AsyncIterator[Served]:
        card = Card(
            tools=True, dialects=frozenset({self.dialect, "chat"}), price=Price(prompt=1.0, completion=2.0, cached=0.5)
        )
        async with raw.serving(self.handle) as server:
            expert = OpenAIHTTP("mine", card, url=server.url + "/v1", model="theirs", key="k")
            async with serving(keeping(folder, expert, Says("chatty", {"content": "plain"}))) as served:
                yield served
