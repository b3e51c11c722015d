"""Lines of the ledger in parts: what is the same in many of them is written once, and the rest is put between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Raw, Struct

from policies.rows import Line, encode

OPENED = Raw(b'"settled",["outcome"')
"""How a line of both rows begins that is one list of values, not one within another."""


class Alike(Struct, frozen=True):
    """What is the same in the lines of decisions that differ in their request, time, draw and allowance only: values as
    they stand in a longer list."""

    who: Raw
    """From the key to the probability."""
    why: Raw
    rest: Raw
    """From the estimates on."""

    @classmethod
    def of(cls, line: Line) -> Alike:
        """Of all that are like this one."""
        return cls(written(line[4:12]), written(line[14:15]), written(line[16:]))


def written(values: Sequence[Any]) -> Raw:
    """Values as they stand in a longer list."""
    return Raw(encode(values)[1:-1])


def closed(price: str) -> Raw:
    """The end of an outcome at this version of its expert's prices, where a line of both rows goes on with what the
    settlement held."""
    return Raw(encode(price) + b'],"settled"')
