"""What the bodies of answers look like, for the OpenAPI document: the fields that are always there; others may be."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.openapi_bodies import NAME, OBJECT, TEXT, YES_OR_NO, Schema, fields, listed

NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer", "minimum": 0}


def const(value: str) -> Schema:
    """This string alone."""
    return {"const": value}


def maybe(schema: Schema) -> Schema:
    """So, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def always(**known: Schema) -> Schema:
    """An object in which each of these is."""
    return fields(tuple(known), **known)


MODEL = always(id=NAME, object=const("model"), created=WHOLE, owned_by=TEXT, kind=TEXT)
PENALTIES = {"presence_penalty": maybe(NUMBER), "frequency_penalty": maybe(NUMBER)}
RESPONSE = fields(
    ("id", "object", "created_at", "status", "model", "output"),
    id=NAME,
    object=const("response"),
    created_at=NUMBER,
    status=TEXT,
    model=TEXT,
    output=listed(OBJECT),
    store=YES_OR_NO,
    **PENALTIES,
)
KEY = always(id=NAME, object=const("key"))
CANDIDATE = always(expert=NAME, quality=NUMBER, std=NUMBER, cost=NUMBER, cost_high=NUMBER, latency=NUMBER)
USED = always(input_tokens=WHOLE, output_tokens=WHOLE)

ANSWERS: Mapping[tuple[str, str], Schema] = {
    ("POST", "/v1/chat/completions"): always(
        id=TEXT, object=const("chat.completion"), created=NUMBER, model=TEXT, choices=listed(OBJECT)
    ),
    ("POST", "/v1/completions"): always(
        id=TEXT, object=const("text_completion"), created=NUMBER, model=TEXT, choices=listed(OBJECT)
    ),
    ("POST", "/v1/messages"): always(
        id=TEXT,
        type=const("message"),
        role=const("assistant"),
        model=TEXT,
        content=listed(always(type=NAME)),
        stop_reason=maybe(NAME),
        stop_sequence=maybe(TEXT),
        usage=USED,
    ),
    ("POST", "/v1/messages/count_tokens"): always(input_tokens=WHOLE),
    ("POST", "/v1/responses"): RESPONSE,
    ("GET", "/v1/responses/"): RESPONSE,
    ("POST", "/v1/responses/{id}/cancel"): RESPONSE,
    ("DELETE", "/v1/responses/"): always(id=NAME, object=const("response"), deleted={"const": True}),
    ("GET", "/v1/responses/{id}/input_items"): always(
        object=const("list"), data=listed(OBJECT), first_id=maybe(TEXT), last_id=maybe(TEXT), has_more=YES_OR_NO
    ),
    ("GET", "/v1/models"): always(object=const("list"), data=listed(MODEL)),
    ("GET", "/v1/models/"): MODEL,
    ("POST", "/v1/route"): always(
        policy=NAME,
        decision={"enum": ["ask", "accept", "refuse"]},
        experts=listed(NAME),
        reason=maybe(TEXT),
        why=TEXT,
        probability=maybe(NUMBER),
        candidates=listed(CANDIDATE),
        excluded=listed(NAME),
    ),
    ("GET", "/v1/decisions/"): always(
        id=NAME,
        cost=maybe(NUMBER),
        decisions=listed(OBJECT, 1),
        outcomes=listed(OBJECT),
        settlements=listed(OBJECT),
        prices=listed(OBJECT),
    ),
    ("GET", "/healthz"): always(status=const("ok")),
    ("GET", "/readyz"): always(status={"enum": ["ready", "starting"]}, experts=OBJECT),
    ("GET", "/admin/keys"): always(object=const("list"), data=listed(KEY)),
    ("DELETE", "/admin/keys/"): always(id=NAME, object=const("key"), revoked={"const": True}),
    ("POST", "/admin/keys/{id}/rotate"): always(id=NAME, object=const("key"), secret=NAME),
    ("GET", "/openapi.json"): always(openapi=TEXT, info=OBJECT, paths=OBJECT, components=OBJECT),
}
"""Of what experts send for themselves nothing is said."""
CREATED: Mapping[tuple[str, str], Schema] = {
    ("POST", "/admin/keys"): always(id=NAME, object=const("key"), secret=NAME),
}
"""Answers with the status 201."""
