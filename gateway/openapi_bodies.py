"""What the bodies of requests look like, for the OpenAPI document: the fields that we read; all others pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.chat import COUNTS, NUMBERS
from gateway.passing import ADDRESSES, FORM, JSON

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
YES_OR_NO: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
FILE: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
TOKENS: Schema = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
TEXTS: Schema = {"type": "array", "items": NAME, "minItems": 1, "maxItems": 2048}


def listed(of: Schema, least: int = 0) -> Schema:
    """A list."""
    return {"type": "array", "items": of, "minItems": least}


def fields(required: tuple[str, ...], **known: Schema) -> Schema:
    """An object with known fields and any others."""
    return {"type": "object", "required": list(required), "properties": known, "additionalProperties": True}


PARTS = listed(fields(("type",), type=TEXT, text=TEXT))
MESSAGE = fields(
    ("role",),
    role={"type": "string", "examples": ["system", "developer", "user", "assistant", "tool"]},
    content={"anyOf": [TEXT, PARTS, {"type": "null"}]},
)
SAMPLING: Mapping[str, Schema] = {
    **{name: {"type": "number", "minimum": low, "maximum": high} for name, (low, high) in NUMBERS.items()},
    **dict.fromkeys(COUNTS, COUNT),
}
STREAM: Mapping[str, Schema] = {"stream": YES_OR_NO, "stream_options": OBJECT}

CHAT = fields(
    ("model", "messages"), model=NAME, messages=listed(MESSAGE, 1), tools=listed(OBJECT), **SAMPLING, **STREAM
)
PROMPT: Schema = {"anyOf": [TEXT, TEXTS, TOKENS, listed(TOKENS, 1)]}
INPUT: Schema = {"anyOf": [NAME, TEXTS, TOKENS, listed(TOKENS, 1)]}
ITEMS: Schema = {"anyOf": [TEXT, listed(OBJECT)]}
TURN = fields(("role", "content"), role={"enum": ["user", "assistant"]}, content={"anyOf": [TEXT, PARTS]})

BODIES: Mapping[str, Schema] = {
    "/v1/chat/completions": CHAT,
    "/v1/route": CHAT,
    "/v1/completions": fields(("model", "prompt"), model=NAME, prompt=PROMPT, **SAMPLING, **STREAM),
    "/v1/responses": fields(("model",), model=NAME, input=ITEMS, instructions=TEXT, stream=YES_OR_NO),
    "/v1/responses/compact": fields(("model",), model=NAME, input=ITEMS, instructions=TEXT, previous_response_id=TEXT),
    "/v1/messages": fields(
        ("model", "messages", "max_tokens"), model=NAME, max_tokens=COUNT, messages=listed(TURN, 1), stream=YES_OR_NO
    ),
    "/v1/messages/count_tokens": fields(("model", "messages"), model=NAME, messages=listed(TURN, 1)),
    "/v1/embeddings": fields(
        ("model", "input"), model=NAME, input=INPUT, dimensions=COUNT, encoding_format={"enum": ["float", "base64"]}
    ),
    "/v1/rerank": fields(("query", "documents"), model=NAME, query=TEXT, documents=listed({"anyOf": [TEXT, OBJECT]})),
    "/v1/moderations": fields(("input",), model=NAME, input={"anyOf": [TEXT, listed(TEXT), listed(OBJECT)]}),
    "/v1/audio/speech": fields(("model", "input"), model=NAME, input=TEXT, voice={}),
    "/v1/images/generations": fields(("prompt",), model=NAME, prompt=TEXT, stream=YES_OR_NO),
    "/v1/batches": fields(("input_file_id", "endpoint", "completion_window"), input_file_id=TEXT, endpoint=TEXT),
    "/v1/audio/transcriptions": fields(("file", "model"), file=FILE, model=NAME),
    "/v1/audio/translations": fields(("file", "model"), file=FILE, model=NAME),
    "/v1/images/edits": fields(("image", "prompt"), image=FILE, prompt=TEXT, model=NAME),
    "/v1/images/variations": fields(("image",), image=FILE, model=NAME),
    "/v1/files": fields(("file", "purpose"), file=FILE, purpose=TEXT),
}


def body_of(method: str, route: str) -> Schema | None:
    """The request body of a route, as OpenAPI has it; `None` if it takes none."""
    schema = BODIES.get(route)
    kind, _ = ADDRESSES.get((method, route), (JSON, ""))
    if method != "POST" or kind not in (JSON, FORM) or (schema is None and route.endswith("/cancel")):
        return None
    return {"required": schema is not None, "content": {kind: {"schema": schema or OBJECT}}}
