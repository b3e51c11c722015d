"""Remembers what was worked out of an object, by the object itself: estimates that are known are looked at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Of = TypeVar("Of")
Value = TypeVar("Value")

MOST = 2048
"""How many objects are kept, each with what was worked out of it."""


class Recall(Generic[Of, Value]):
    """A pure function of objects that nobody changes; each is kept, so no other can take its place in memory."""

    def __init__(self, make: Callable[[Of], Value]) -> None:
        self._make = make
        self.kept: dict[int, tuple[Any, Value]] = {}
        """By identity; where each step counts, this is looked at without a call."""

    def __call__(self, of: Of) -> Value:
        kept = self.kept.get(id(of))
        if kept is not None:
            return kept[1]
        if len(self.kept) >= MOST:
            self.kept.clear()
        value = self._make(of)
        self.kept[id(of)] = of, value
        return value
