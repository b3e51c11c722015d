"""What every answer of ours must be: openai's own types take it as it is, or it has the shape that we document."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, get_args

import orjson
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import CompactedResponse, Response, ResponseStreamEvent
from openai.types.responses.response_item_list import ResponseItemList
from pydantic import BaseModel, TypeAdapter, ValidationError

from experts import sse
from gateway.openapi import ERROR, MESSAGES_ERROR, shown

TYPES: Mapping[tuple[str, str], Any] = {
    ("POST", "/v1/chat/completions"): ChatCompletion,
    ("POST", "/v1/completions"): Completion,
    ("POST", "/v1/embeddings"): CreateEmbeddingResponse,
    ("POST", "/v1/responses"): Response,
    ("POST", "/v1/responses/compact"): CompactedResponse,
    ("GET", "/v1/responses/"): Response,
    ("POST", "/v1/responses/{id}/cancel"): Response,
    ("GET", "/v1/responses/{id}/input_items"): ResponseItemList,
    ("GET", "/v1/models/"): Model,
}
EVENTS: Mapping[str, Any] = {
    "/v1/chat/completions": ChatCompletionChunk,
    "/v1/completions": Completion,
}
OURS = frozenset({"lyceum", "kind", "description", "domain"})
"""Names that we document: of our mark in streams, and of what a model's entry says."""
OPEN = frozenset({"store", "presence_penalty", "frequency_penalty"})
"""Names that the Open Responses specification has beyond openai's types; our document has them, too."""
THEIRS = frozenset({"reasoning_content", "reasoning"})
"""Names that chat servers have for thoughts, which pass."""


class Heard(NamedTuple):
    """An answer: to what, and what it was; `whole`: it came to its end."""

    method: str
    route: str
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    whole: bool


def complaints(heard: Heard, document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an answer; `document` is what the gateway serves of itself as OpenAPI."""
    where = f"{heard.method} {heard.route} {heard.status}"
    if b"x-request-id" not in heard.headers:
        yield f"{where}: no x-request-id"
    kind = heard.headers.get(b"content-type", b"").split(b";")[0]
    try:
        if kind == b"text/event-stream":
            yield from (f"{where}: {each}" for each in streamed(heard.route, heard.body))
        elif heard.whole and kind == b"application/json":
            yield from (f"{where}: {each}" for each in plain(heard, document))
    except (ValidationError, orjson.JSONDecodeError) as error:
        yield f"{where}: {error}: {heard.body[:600]!r}"


def schema_of(heard: Heard, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the document says of an answer; of one to no known address it may be any error."""
    found = document["paths"].get(shown(heard.route), {}).get(heard.method.lower())
    if found is None:
        return {"anyOf": [document["components"]["schemas"][name] for name in ("Error", "MessagesError")]}
    told = found["responses"].get(str(heard.status), found["responses"]["default"])
    if "$ref" in told:
        told = document["components"]["responses"][told["$ref"].rpartition("/")[2]]
    schema: Mapping[str, Any] = told["content"].get("application/json", {}).get("schema", {})
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def plain(heard: Heard, document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a whole body."""
    method, route, status, body = heard.method, heard.route, heard.status, heard.body
    value = orjson.loads(body)
    if status < 400 and (made := TYPES.get((method, route))) is not None:
        yield from alien(_adapter(made).validate_json(orjson.dumps(numbers(value)), strict=True))
    if status < 400 and route == "/v1/models":
        for each in value["data"]:
            yield from alien(Model.model_validate(each, strict=True))
    yield from shaped(value, schema_of(heard, document), "$")


def numbers(value: dict[str, Any]) -> dict[str, Any]:
    """An answer whose vectors are numbers: openai's client decodes them before they meet its types."""
    for each in value.get("data", ()):
        if isinstance(given := each.get("embedding"), str):
            each["embedding"] = list(struct.unpack(f"<{len(base64.b64decode(given)) // 4}f", base64.b64decode(given)))
    return value


def streamed(route: str, body: bytes) -> Iterator[str]:
    """What is wrong with a stream of events, whole or not."""
    for event in sse.Reader().feed(body):
        if event.data == b"[DONE]":
            continue
        value = orjson.loads(event.data)
        if "error" in value and value.get("type") in (None, "error"):
            yield from shaped(value, MESSAGES_ERROR if route == "/v1/messages" else ERROR, "$")
        elif "of_tomorrow" not in str(value.get("type")) and (made := type_of(route, value)) is not None:
            yield from alien(_adapter(made).validate_json(orjson.dumps(typed(value)), strict=True))


def type_of(route: str, event: dict[str, Any]) -> Any:
    """The type of an event of a stream; `None`: openai has none."""
    return kinds().get(str(event.get("type")), ResponseStreamEvent) if route == "/v1/responses" else EVENTS.get(route)


@cache
def kinds() -> dict[str, Any]:
    """The types of the events of Responses by their names."""
    return {
        get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(get_args(ResponseStreamEvent)[0])
    }


def typed(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what OpenAI streams and has no room for in its own types: a null until a text has ended, and
    calls of free-form tools."""
    choices = [dict(choice) for choice in event.get("choices") or ()]
    for choice in choices:
        if "text" in choice:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        for call in choice.get("delta", {}).get("tool_calls") or ():
            if "custom" in call:
                given = call.pop("custom")
                about = {"type": "function"} if call.get("type") == "custom" else {}
                call.update(about, function={"arguments": given.pop("input"), **given})
    return {**event, "choices": choices} if choices else event


def alien(value: Any, path: str = "$") -> Iterator[str]:
    """The fields that neither openai's types nor our documents know."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            if name not in OURS | OPEN | THEIRS and "of_tomorrow" not in name:
                yield f"{path}.{name} is documented nowhere"
        for name in type(value).model_fields.keys() - {"tools"}:  # a client's own words, given back
            yield from alien(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from alien(each, f"{path}[]")


@cache
def _adapter(made: Any) -> TypeAdapter[Any]:
    return TypeAdapter(made)


KINDS: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "number": (int, float),
    "integer": int,
    "null": type(None),
}


def _is(value: Any, name: str) -> bool:
    return isinstance(value, KINDS[name]) and (name == "boolean" or not isinstance(value, bool))


def shaped(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """What of a value is not as a schema of our document says; the words of JSON Schema that the document uses."""
    if "anyOf" in schema:
        if all([*shaped(value, each, path)] for each in schema["anyOf"]):
            yield f"{path} is none of what it may be"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{path} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is none of {schema['enum']}"
    kinds = schema.get("type", [])
    names = [kinds] if isinstance(kinds, str) else kinds
    if names and not any(_is(value, name) for name in names):
        yield f"{path} is no {kinds}"
        return
    yield from inside(value, schema, path)


def inside(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """What is wrong inside of a value of the right kind."""
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        yield f"{path} is empty"
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from shaped(each, schema.get("items", {}), f"{path}[{place}]")
    if isinstance(value, dict):
        yield from (f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, each in schema.get("properties", {}).items():
            if name in value:
                yield from shaped(value[name], each, f"{path}.{name}")
