"""Reads answers of servers in the dialect of /v1/responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experts.card import Usage
from experts.native import Reading, call_delta, objects, place_of, refused
from experts.openai_answer import count, detailed
from experts.openai_errors import broken

THOUGHTS = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")
PLAIN = ("message", "reasoning")
"""Items whose words are told one by one; every other item that begins is something done."""

CALLS = ("function_call", "custom_tool_call")
REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesReading(Reading):
    """How far an answer has come."""

    DIALECT = "responses"

    def read(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        kind = payload.get("type")
        match kind:
            case "response.output_text.delta":
                return {"content": payload.get("delta")}, None
            case "response.refusal.delta":
                return {"refusal": payload.get("delta")}, None
            case "response.function_call_arguments.delta":
                return call_delta(place_of(payload, "output_index"), str(payload.get("delta", ""))), None
            case "response.output_item.added":
                return begun(payload), None
            case "response.completed" | "response.incomplete":
                return {}, self.ended(_object(payload.get("response")))
            case "response.failed" | "response.cancelled":
                raise self.failed(refused(_object(payload.get("response")).get("error")))
            case "error":
                raise self.failed(refused(payload))
        return ({"reasoning_content": payload.get("delta")} if kind in THOUGHTS else {}), None

    def ended(self, response: Mapping[str, Any]) -> str:
        """Why it ended; its usage is known from now on."""
        self.over = True
        self.usage = usage_of(response.get("usage"))
        if response.get("status") == "incomplete":
            return REASONS.get(str(_object(response.get("incomplete_details")).get("reason")), "length")
        called = any(item.get("type") in CALLS for item in objects(response.get("output")))
        return "tool_calls" if called else "stop"

    def message(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        if payload.get("status") in ("failed", "cancelled"):
            raise refused(payload.get("error"))
        if payload.get("object") != "response" or payload.get("status") not in ("completed", "incomplete"):
            raise broken("it answered 200 without a response")
        return message_of(objects(payload.get("output"))), self.ended(payload)


def begun(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What an item that begins says."""
    item = _object(payload.get("item"))
    kind = item.get("type")
    if kind == "function_call":
        place = place_of(payload, "output_index")
        return call_delta(place, "", id=item.get("call_id"), name=item.get("name"), type="function")
    return {} if kind in PLAIN else {"activity": kind}


def message_of(output: list[dict[str, Any]]) -> dict[str, Any]:
    """The items of an answer as one message of chat."""
    contents = [part for item in output if item.get("type") == "message" for part in objects(item.get("content"))]
    texts = [str(part.get("text", "")) for part in contents if part.get("type") == "output_text"]
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(texts) if texts else None}
    if refusals := [str(part.get("refusal", "")) for part in contents if part.get("type") == "refusal"]:
        message["refusal"] = "\n".join(refusals)
    calls = [item for item in output if item.get("type") == "function_call"]
    if calls:
        message["tool_calls"] = [
            {
                "id": each.get("call_id"),
                "type": "function",
                "function": {"name": each.get("name"), "arguments": each.get("arguments")},
            }
            for each in calls
        ]
    return message


def usage_of(value: Any) -> Usage | None:
    """The usage of an answer; a count that is missing is None, an explicit 0 is 0."""
    if not isinstance(value, dict):
        return None
    details = value.get("input_tokens_details"), value.get("output_tokens_details")
    return detailed(count(value.get("input_tokens")), count(value.get("output_tokens")), *details)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
