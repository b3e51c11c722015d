"""Counts the gateways that have passed a request on: those that ask each other in a circle come to an end."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from experts.base import Request
from experts.openai_http import HOPS
from gateway.errors import APIError

HEADER = HOPS.encode()
MOST = 8
"""Gateways that may pass a request on, one to the next."""
DIGITS = 3


def passed_on(request: Request, headers: Mapping[bytes, bytes]) -> Request:
    """The request, which knows how many gateways have passed it on. Raises APIError if those are too many."""
    said = headers.get(HEADER)
    if said is None:
        return request
    hops = int(said) if said.isdigit() and len(said) <= DIGITS else MOST
    if hops >= MOST:
        raise APIError("delegation_depth_exceeded")
    return replace(request, hops=hops)
