"""What streams of every dialect say of us, in a field that no other server has: who went on, what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from experts.base import Chunk
from experts.card import dollars


def marked(events: Iterable[dict[str, Any]], chunk: Chunk) -> list[dict[str, Any]]:
    """The events of a chunk; the first says so if another expert goes on with the answer from here."""
    told = list(events)
    if chunk.continued_by and told:
        told[0] = {**told[0], "lyceum": {"continued_by": chunk.continued_by}}
    return told


def spent(cost: int) -> dict[str, Any]:
    """What everything that was asked for the request cost, in dollars; `cost` is nano-dollars."""
    return {"lyceum": {"cost": dollars(cost)}}
