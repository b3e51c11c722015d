"""One table of everything that can go wrong for a client: name -> status, type, code, whether a retry can help."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any

import orjson

from experts.base import ExpertError, Rejected
from policies.ledger import LedgerUnavailable

logger = getLogger("lyceum")


@dataclass(frozen=True, slots=True)
class Row:
    """How one error looks on the wire. `retry`: a later identical request may succeed."""

    status: int
    type: str
    message: str
    retry: bool = False


IRE = "invalid_request_error"

ERRORS: dict[str, Row] = {
    "invalid_json": Row(400, IRE, "The body is not valid JSON."),
    "invalid_type": Row(400, IRE, "A field has the wrong type."),
    "invalid_value": Row(400, IRE, "A field has a value that is not allowed."),
    "missing_required_parameter": Row(400, IRE, "A required field is missing."),
    "duplicate_key": Row(400, IRE, "A key stands twice in one object."),
    "bad_request": Row(400, IRE, "The request is not valid HTTP/1.1."),
    "expert_rejected": Row(400, IRE, "The expert refused this request."),
    "invalid_api_key": Row(401, "authentication_error", "The API key is missing or not known."),
    "model_not_allowed": Row(403, "permission_error", "This key may not ask for this model."),
    "not_found": Row(404, IRE, "There is nothing at this address."),
    "model_not_found": Row(404, IRE, "There is no such model."),
    "endpoint_not_served": Row(404, IRE, "No expert here has this endpoint."),
    "decision_not_found": Row(404, IRE, "There is no such decision for this key."),
    "method_not_allowed": Row(405, IRE, "This address does not take that method."),
    "request_timeout": Row(408, IRE, "The request did not come in time.", retry=True),
    "request_too_large": Row(413, IRE, "The body is larger than this server takes."),
    "uri_too_long": Row(414, IRE, "The address is too long."),
    "unsupported_media_type": Row(415, IRE, "Send JSON, not compressed."),
    "delegation_depth_exceeded": Row(400, IRE, "Too many gateways have passed this request on: they ask in a circle."),
    "no_eligible_expert": Row(400, IRE, "No expert can take this request (context, tools or modalities)."),
    "unsupported_feature": Row(400, IRE, "No expert can do what a field of this request asks for."),
    "previous_response_not_found": Row(400, IRE, "The previous response is not kept here, or not for this key."),
    "response_not_in_background": Row(400, IRE, "Only a response that is made in the background can be cancelled."),
    "response_not_found": Row(404, IRE, "There is no such response for this key."),
    "idempotency_key_in_use": Row(409, IRE, "The request with this Idempotency-Key is still running.", retry=True),
    "idempotency_key_interrupted": Row(
        409, IRE, "The first request with this Idempotency-Key was cut off by a crash; to ask again, use another key."
    ),
    "idempotency_store_unavailable": Row(
        503, "server_error", "Idempotency-Keys cannot be kept; nothing is asked that could be asked twice.", True
    ),
    "idempotency_key_reuse": Row(422, IRE, "This Idempotency-Key was used for another request."),
    "headers_too_large": Row(431, IRE, "The headers are too large or too many."),
    "budget_exceeded": Row(429, "insufficient_quota", "The budget does not allow this request."),
    "rate_limit_exceeded": Row(429, "rate_limit_error", "Requests come faster than is allowed.", retry=True),
    "internal_error": Row(500, "server_error", "The server failed on this request; it has been noted.", retry=True),
    "upstream_error": Row(502, "server_error", "The expert's answer was broken off.", retry=True),
    "all_experts_failed": Row(502, "server_error", "Every expert that was asked failed.", retry=True),
    "no_healthy_expert": Row(503, "server_error", "No expert can be reached right now.", retry=True),
    "server_is_overloaded": Row(503, "server_error", "More comes than can be answered now.", retry=True),
    "budget_store_unavailable": Row(
        503, "server_error", "What was spent cannot be looked up; nothing is asked unpaid.", True
    ),
    "key_store_unavailable": Row(503, "server_error", "Keys cannot be looked up right now.", retry=True),
    "key_not_found": Row(404, IRE, "There is no such key, or it has been revoked."),
    "ledger_unavailable": Row(
        503, "server_error", "The ledger cannot be written; nothing is answered unrecorded.", True
    ),
    "response_store_unavailable": Row(
        503, "server_error", "The response cannot be kept right now, and is not given unkept.", retry=True
    ),
    "upstream_timeout": Row(504, "server_error", "The answer took too long.", retry=True),
}


@dataclass(eq=False)
class APIError(Exception):
    """An error of ours on its way to the client. `code` is a key of ERRORS."""

    code: str
    message: str = ""
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    upstream_code: str | None = None

    def __str__(self) -> str:
        return self.message or ERRORS[self.code].message

    @property
    def http_status(self) -> int:
        """The status line's number."""
        return self.status or ERRORS[self.code].status

    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        row = ERRORS[self.code]
        return {
            "error": {
                "message": self.message or row.message,
                "type": row.type,
                "code": self.upstream_code or self.code,
                "param": self.param,
            }
        }

    def encoded(self) -> bytes:
        """The body as bytes."""
        return orjson.dumps(self.body())

    def event(self) -> bytes:
        """The event that ends a stream."""
        return b"data: %b\n\n" % orjson.dumps({**self.body(), **self.spent()})

    def spent(self) -> dict[str, Any]:
        """What was spent all the same, as streams say it."""
        cost = self.headers.get("x-lyceum-cost")
        return {} if cost is None else {"lyceum": {"cost": float(cost)}}

    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that tell a client whether to try again."""
        row = ERRORS[self.code]
        headers = dict(self.headers)
        if self.http_status in (408, 409, 429) or self.http_status >= 500:
            headers.setdefault("x-should-retry", "true" if row.retry else "false")
        if row.retry and self.http_status == 503:
            headers.setdefault("retry-after", "1")
        return [(name.encode(), value.encode()) for name, value in headers.items()]


REFUSALS = {
    "no_expert": "no_eligible_expert",
    "budget": "budget_exceeded",
    "exhausted": "all_experts_failed",
}


LIMITED = {"budget": "budget_exceeded", "rate": "rate_limit_exceeded"}


def refusal(reason: str, error: ExpertError | None) -> APIError:
    """What a client hears of a Refuse; `error` is the last expert's, where there is one."""
    if isinstance(error, Rejected) and not error.retryable:
        about = error.about
        return APIError(
            "expert_rejected",
            str(error),
            about.get("param"),
            status=about.get("status"),
            upstream_code=about.get("code"),
        )
    if reason == "exhausted" and error is not None and error.reason in LIMITED:
        return APIError(LIMITED[error.reason], headers=_retry_after(error))
    if reason == "exhausted" and error is not None and error.reason == "unavailable":
        return APIError("no_healthy_expert", headers=_retry_after(error))
    return APIError(REFUSALS.get(reason, "all_experts_failed"))


SPREAD_SECONDS = 3.0
"""Over which those come back who were turned away at the same time."""


def overloaded(told: float | None = None, spread: float = SPREAD_SECONDS) -> APIError:
    """There is no room now, nor for as many seconds as an expert `told`."""
    seconds = max(1.0, told or 0.0) + random.uniform(0.0, spread)
    headers = {"retry-after": str(math.ceil(seconds)), "retry-after-ms": str(round(1000 * seconds))}
    return APIError("server_is_overloaded", headers=headers)


def _retry_after(error: ExpertError) -> dict[str, str]:
    seconds = error.about.get("retry_after")
    return {} if seconds is None else {"retry-after": str(max(1, round(seconds)))}


def of(error: Exception) -> APIError:
    """The client's view of any exception; what we do not know is an internal error without details."""
    if isinstance(error, APIError):
        return error
    if isinstance(error, LedgerUnavailable):
        return APIError("ledger_unavailable")
    if isinstance(error, ExpertError):
        return APIError("upstream_error")
    return APIError("internal_error")


def log(known: APIError, error: Exception, path: str, request_id: str) -> None:
    """Writes down what nobody expected, with its stack; clients see none of it."""
    if known.code == "internal_error":
        logger.error("internal error on %s (%s)", path, request_id, exc_info=error)
