"""The object of an answer in the dialect of /v1/responses: what was asked for, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experts.card import Usage
from gateway.parts import Part
from gateway.responses import Offer

Fields = Mapping[str, Any]

ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What the request said, or what it means to say nothing."""

FUNCTION = {"description": None, "parameters": None, "strict": None}
SCHEMA = {"description": None, "strict": None}


def echoed(fields: Fields) -> dict[str, Any]:
    """The part of the object that repeats the request."""
    told = {key: default if fields.get(key) is None else fields[key] for key, default in ECHOED.items()}
    text = dict(fields.get("text") or {})
    form = text.get("format") or {"type": "text"}
    text["format"] = {**SCHEMA, **form} if form.get("type") == "json_schema" else form
    tools = fields.get("tools") or []
    return {
        **told,
        "background": bool(fields.get("background")),
        "reasoning": {"effort": None, "summary": None, **(fields.get("reasoning") or {})},
        "service_tier": "flex" if fields.get("service_tier") == "flex" else "default",
        "text": text,
        "tools": [{**FUNCTION, **tool} if tool.get("type") == "function" else tool for tool in tools],
    }


def usage(tokens: Usage | None) -> dict[str, Any] | None:
    """The usage object; `None` when nothing is known."""
    if tokens is None:
        return None
    given, made = tokens.prompt_tokens or 0, tokens.completion_tokens or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": tokens.cached_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning_tokens or 0},
        "total_tokens": given + made,
    }


KINDS = {"thought": "rs", "call": "fc", "custom": "ctc", "text": "msg", "refusal": "msg"}
CALLS = ("call", "custom")


def name_of(part: Part, request_id: str) -> str:
    """The name of a part of the answer as an item."""
    return f"{KINDS[part.kind]}_{request_id}_{part.place}"


def item(part: Part, request_id: str, status: str, offers: Mapping[str, Offer]) -> dict[str, Any]:
    """A part of the answer as an item of the output; `offers` are the tools that chat calls by another name."""
    name = name_of(part, request_id)
    begun = status == "in_progress"
    match part.kind:
        case "thought":
            content = [] if begun else [content_of(part)]
            return {"id": name, "type": "reasoning", "summary": [], "content": content, "status": status}
        case "call":
            call = _call(part, offers.get(part.name))
            return {
                "id": name,
                "type": "function_call",
                "status": status,
                **call,
                "arguments": "" if begun else part.text,
            }
        case "custom":
            call = _call(part, offers.get(part.name))
            return {"id": name, "type": "custom_tool_call", **call, "input": "" if begun else part.text}
    content = [] if begun else [content_of(part)]
    return {"id": name, "type": "message", "role": "assistant", "status": status, "content": content}


def _call(part: Part, offer: Offer | None) -> dict[str, Any]:
    """Who is called, by the names that the client has for it."""
    if offer is None:
        return {"call_id": part.id, "name": part.name}
    space = {"namespace": offer.namespace} if offer.namespace else {}
    return {"call_id": part.id, "name": offer.tool["name"], **space}


def content_of(part: Part, text: str | None = None) -> dict[str, Any]:
    """The one content of a message or of a thought, with all of its text or with another."""
    said = part.text if text is None else text
    match part.kind:
        case "thought":
            return {"type": "reasoning_text", "text": said}
        case "refusal":
            return {"type": "refusal", "refusal": said}
    logprobs = part.logprobs if text is None else []
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": logprobs}


def ending(finish_reason: str | None) -> tuple[str, dict[str, str] | None]:
    """The status of an answer that ended so, and why it is not complete."""
    match finish_reason:
        case "length":
            return "incomplete", {"reason": "max_output_tokens"}
        case "content_filter":
            return "incomplete", {"reason": "content_filter"}
    return "completed", None


PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


def listed(items: list[Any], request_id: str) -> list[dict[str, Any]]:
    """The items of an input as they are kept and shown: each with a name, and with parts instead of a bare text."""
    found = []
    for place, given in enumerate(items):
        each = dict(given)
        kind = str(each.setdefault("type", "message"))
        each.setdefault("id", f"{PREFIXES.get(kind, 'item')}_{request_id}_i{place}")
        if kind in PREFIXES:
            each.setdefault("status", "completed")
        if kind == "message" and isinstance(each.get("content"), str):
            each["content"] = [part_of(each)]
        found.append(each)
    return found


def part_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """The one part of a message that is a bare text."""
    if message.get("role") == "assistant":
        return {"type": "output_text", "text": message["content"], "annotations": []}
    return {"type": "input_text", "text": message["content"]}


def page(items: list[dict[str, Any]], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """A page of a list as the query wants it: `order` (desc, asc), `after` an item, `limit` of 1 to 100."""
    ordered = items if query.get("order") == ["asc"] else items[::-1]
    after = query.get("after", [""])[0]
    names = [each["id"] for each in ordered]
    rest = ordered[names.index(after) + 1 :] if after in names else ordered
    limit = query.get("limit", ["20"])[0]
    count = min(100, max(1, int(limit))) if limit.isascii() and limit.isdigit() else 20
    shown = [{"status": "completed", **each} if str(each.get("type")) in PREFIXES else each for each in rest[:count]]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(shown) < len(rest),
    }
