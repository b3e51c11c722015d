"""Errors as clients of /v1/messages know them: another body, another header for the request's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from experts import sse
from gateway.errors import APIError

PREFIX = "/v1/messages"

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""By status; all others are an invalid_request_error below 500 and an api_error from there on."""


@dataclass(eq=False)
class MessagesError(APIError):
    """An error in Anthropic's form."""

    request_id: str = ""

    def body(self) -> dict[str, Any]:
        """Anthropic's error object."""
        kind = TYPES.get(self.http_status, "invalid_request_error" if self.http_status < 500 else "api_error")
        return {
            "type": "error",
            "error": {"type": kind, "message": str(self)},
            "request_id": self.request_id,
        }

    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that tell a client whether to try again, and the request's name."""
        return [*APIError.all_headers(self), (b"request-id", self.request_id.encode())]

    def event(self) -> bytes:
        """The event that ends a stream."""
        return sse.write(orjson.dumps({**self.body(), **self.spent()}), b"error")


def formed(error: APIError, path: str, request_id: str) -> APIError:
    """An error in the form of the address that was called."""
    if not path.startswith(PREFIX) or isinstance(error, MessagesError):
        return error
    return MessagesError(
        error.code, error.message, error.param, error.headers, error.status, error.upstream_code, request_id
    )
