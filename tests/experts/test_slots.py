"""Structs whose fields are stored straight into their slots are structs all the same."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import asdict, replace

from experts.http1_exchange import Exchange
from experts.slots import slotted
from experts.sse import Reader
from gateway.alike import Alike
from gateway.hot import Hot
from gateway.life import Life
from gateway.promise import Promise
from gateway.sink import Plain
from gateway.stream import Stream
from gateway.tally import Tally
from gateway.turn import Turn


@slotted
class Counter(Struct, eq=False, weakref=True):
    owner: Any
    count: int = 0
    more: Any = None


def test_what_is_stored_is_there_and_a_field_that_is_none_is_refused():
    counter = Counter([])
    counter.count += 2
    assert (asdict(counter), replace(counter, count=3).count) == ({"owner": [], "count": 2, "more": None}, 3)
    with pytest.raises(AttributeError):
        counter.other = 1  # type: ignore[attr-defined] # that is what is tested


def test_one_that_knows_itself_is_found_by_the_garbage_collector():
    counter = Counter([])
    counter.more, gone = counter, weakref.ref(counter)
    del counter
    gc.collect()
    assert gone() is None


KINDS: list[tuple[type[Struct], int]] = [
    (Life, 5),
    (Tally, 3),
    (Plain, 3),
    (Promise, 6),
    (Turn, 4),
    (Exchange, 6),
    (Reader, 0),
    (Alike, 1),
]


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_kinds_that_are_written_to_for_each_request_are_known_to_the_collector_from_birth(kind, given):
    made = kind(*[[] for _ in range(given)])
    assert gc.is_tracked(made)
    assert kind.__setattr__ is object.__setattr__


@pytest.mark.parametrize("kind", [Hot, Stream])
def test_those_that_inherit_are_slotted_themselves(kind):
    assert kind.__dict__["__setattr__"] is object.__setattr__
