"""Grants calls from slices of the budgets that this process holds, so that a call need not wait for the store.

One slice for each set of accounts that calls are booked on. It is topped up with what waits and, while calls keep
coming, with more for those to come; what is not used goes back after a moment, and at once where a budget is short.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from policies.batches import StoreUnavailable
from policies.book import Book, Hold, Key, Operation, Order, Refused
from policies.limits import Booked, Charge
from policies.slices import Call, Topped, draw, give_back, top_up

Waiting = tuple[Call, "asyncio.Future[Any]"]
"""A call and the future of its hold."""

Refusal = tuple[Call, "asyncio.Future[Any]", Refused]
"""One of them that the store has no room for, and why."""

Submit = Callable[[Operation], asyncio.Future[Any]]
"""Queues an operation; the future has what it returned."""

SPARE_CALLS = 8
"""How many calls like the one that waits a slice takes for those to come; doubled while calls come quickly."""
QUICK_SECONDS = 1.0
IDLE_SECONDS = 1.0
"""After so long without a call a slice goes back."""
KEPT_SECONDS = 40.0
"""A slice is swept when its process has not been heard of for so long."""
MOST_SPARE = 1 << 50


@dataclass(slots=True, eq=False)
class Slice:
    """A part of the budgets over one set of accounts. Money in nano-dollars."""

    id: str
    charges: tuple[Charge, ...]
    keys: tuple[Key, ...]
    free: int = 0
    """What is granted to nobody."""
    spare: int = 0
    """What it is topped up by for calls to come; 0 while they come slowly, and then what is free goes back at once."""
    calls: dict[str, Call] = field(default_factory=dict)
    """Those under way."""
    ending: set[str] = field(default_factory=set)
    """Those that have ended and are not booked yet."""
    waiting: deque[Waiting] = field(default_factory=deque)
    asking: int = 0
    """For how many of those that wait the store is being asked."""
    used: float = 0.0
    topped: float = 0.0
    renewed: float = 0.0
    over: bool = False
    """Grants nothing any more."""


class Leases:
    """The slices of this process; `name` is unique among processes. `submit` queues an operation whose result comes
    first in its future's; `finish` does, too, and tries again when the store is back."""

    def __init__(self, name: str, submit: Submit, finish: Submit, clock: Callable[[], float]) -> None:
        self._name, self._submit, self._finish, self._clock = name, submit, finish, clock
        self._current: dict[tuple[Key, ...], Slice] = {}
        self._all: dict[str, Slice] = {}
        self._made = 0
        self._closed = False

    def grant(self, call: Call, booked: Booked) -> Hold | asyncio.Future[Any]:
        """A hold from the slice of these accounts, or the future of one or of a Refused."""
        mine = self._slice(booked.charges, booked.keys)
        mine.used = call.time
        if not mine.waiting and mine.free >= call.amount:
            return _take(mine, call)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        mine.waiting.append((call, future))
        if not mine.asking:
            self._ask(mine)
        return future

    def settled(self, hold: Hold, cost: int | None) -> Operation | None:
        """The operation that books a call's cost, the first time; an unknown cost is all that it could cost."""
        mine = self._all.get(hold.slice)
        call = mine.calls.pop(hold.id, None) if mine else None
        if mine is None or call is None:
            return None
        mine.ending.add(hold.id)
        rest = 0 if cost is None else max(call.amount - cost, 0)
        if mine.spare:
            mine.free, rest = mine.free + rest, 0
        book_it = partial(draw, slice_id=mine.id, call=call, cost=cost, rest=rest)
        return Operation(hold.id, book_it, mine.keys, (mine.id,))

    def booked(self, operation: Operation) -> None:
        """An operation that `settled` gave is durable."""
        for one in [self._all[name] for name in operation.also if name in self._all]:
            one.ending.discard(operation.id)

    def free(self, key: Key) -> int:
        """What the slices on an account have for calls to come: the store has it as held."""
        return sum(one.free for one in self._current.values() if key in one.keys)

    def tend(self) -> None:
        """Returns what calls do not come for, and keeps the rest from being swept."""
        now = self._clock()
        for one in [each for each in self._all.values() if not (each.asking or each.waiting)]:
            if not (one.calls or one.ending) and (one.over or now - one.used > IDLE_SECONDS):
                self._drop(one)
                continue
            if now - one.topped > QUICK_SECONDS:
                one.spare //= 2
            unused = max(one.free - one.spare, 0)
            if unused or now - one.renewed > KEPT_SECONDS / 3:
                self._return(one, unused)

    def close(self) -> None:
        """Returns everything but what calls that are still under way may cost."""
        self._closed = True
        for one in list(self._all.values()):
            for _, waiting in one.waiting:
                _fail(waiting, StoreUnavailable("the accounts are closed"))
            if one.calls or one.ending:
                self._return(one, one.free)
            else:
                self._drop(one)

    def _slice(self, charges: tuple[Charge, ...], keys: tuple[Key, ...]) -> Slice:
        mine = self._current.get(keys)
        if mine is None:
            self._made += 1
            mine = Slice(f"{self._name}.{self._made}", charges, keys)
            self._current[keys] = self._all[mine.id] = mine
        return mine

    def _ask(self, mine: Slice, again: bool = False) -> None:
        """Asks the store for what all who wait need, and for more if calls come quickly."""
        now = self._clock()
        needs = _needs(mine)
        if now - mine.topped < QUICK_SECONDS:
            mine.spare = min(max(2 * mine.spare, SPARE_CALLS * mine.waiting[0][0].amount), MOST_SPARE)
        mine.asking, mine.topped, mine.renewed = len(needs), now, now
        order = Order(mine.id, 0, mine.charges, now, now + KEPT_SECONDS)
        operation = Operation(mine.id, partial(top_up, order=order, needs=needs, spare=mine.spare), mine.keys)
        self._submit(operation).add_done_callback(partial(self._topped, mine, again))

    def _topped(self, mine: Slice, again: bool, future: asyncio.Future[Any]) -> None:
        waited = [mine.waiting.popleft() for _ in range(mine.asking)]
        mine.asking = 0
        error = future.exception()
        if error is None:
            topped: Topped = future.result()[0]
            self._deal(mine, waited, topped, again)
        else:
            self._retire(mine)  # nobody knows what it holds now
            for _, waiting in waited:
                _fail(waiting, error)
        if mine.waiting and not mine.asking:
            self._pass_on(mine)
        if self._closed:
            self._return(mine, mine.free)

    def _deal(self, mine: Slice, waited: list[Waiting], topped: Topped, again: bool) -> None:
        """Grants what the store allowed. Who is refused is asked for once more if other slices had what is missing."""
        mine.free += topped.added
        refused: list[Refusal] = []
        gone = 0
        for (call, waiting), why in zip(waited, topped.verdicts, strict=True):
            if waiting.done():  # its caller has left
                gone += call.amount if why is None else 0
            elif why is None:
                waiting.set_result(_take(mine, call))
            else:
                refused.append((call, waiting, why))
        if gone and not mine.spare:
            self._return(mine, gone)
        refused = [one for one in refused if not _fits(mine, one)]
        if any(why.kind == "closed" for _, _, why in refused):
            self._retire(mine)  # it was swept: this process was believed dead
            mine.waiting.extendleft((call, waiting) for call, waiting, _ in reversed(refused))
        elif refused and not again and self._reclaim(mine):
            mine.waiting.extendleft((call, waiting) for call, waiting, _ in reversed(refused))
            self._ask(mine, again=True)
        else:
            for _, waiting, why in refused:
                waiting.set_result(why)

    def _pass_on(self, mine: Slice) -> None:
        """Those who came meanwhile get what is free now; the rest are asked for, by the slice that takes the place of
        one that is over. To ask for all of them again would double what is spare each time the store is slow."""
        heir = mine
        if mine.over:
            heir = self._slice(mine.charges, mine.keys)
            heir.waiting.extend(mine.waiting)
            mine.waiting.clear()
        _serve(heir)
        if heir.waiting:
            self._ask(heir)

    def _reclaim(self, mine: Slice) -> bool:
        """Returns what other slices on the same accounts have free; whether there was any."""
        keys = set(mine.keys)
        others = [one for one in self._current.values() if one.free > 0 and not one.asking and keys & set(one.keys)]
        for one in others:
            self._return(one, one.free)
        return bool(others)

    def _return(self, one: Slice, amount: int) -> None:
        """Gives a part back, and says that the rest is still wanted."""
        one.free -= amount
        one.renewed = now = self._clock()
        self._submit(Operation(one.id, partial(give_back, slice_id=one.id, amount=amount, until=now + KEPT_SECONDS)))

    def _retire(self, one: Slice) -> None:
        """It grants nothing any more; what is left of it goes back when its last call has ended."""
        one.over, one.free, one.spare = True, 0, 0
        if self._current.get(one.keys) is one:
            del self._current[one.keys]

    def _drop(self, one: Slice) -> None:
        """Forgets a slice that nobody uses; what is left of it goes back."""
        self._retire(one)
        del self._all[one.id]
        self._finish(Operation(one.id, partial(Book.settle, name=one.id, cost=0)))


def _needs(mine: Slice) -> tuple[int, ...]:
    """What those who wait need beyond what is free."""
    needs, free = [], mine.free
    for call, _ in mine.waiting:
        need = max(call.amount - free, 0)
        free -= call.amount - need
        needs.append(need)
    return tuple(needs)


def _take(mine: Slice, call: Call) -> Hold:
    mine.free -= call.amount
    mine.calls[call.id] = call
    return Hold(call.id, call.amount, mine.id)


def _serve(mine: Slice) -> None:
    """Grants those that wait in their order, as far as what is free goes."""
    while mine.waiting:
        call, waiting = mine.waiting[0]
        if not waiting.done():
            if mine.free < call.amount:
                return
            waiting.set_result(_take(mine, call))
        mine.waiting.popleft()


def _fits(mine: Slice, one: Refusal) -> bool:
    """Grants a call out of what came free meanwhile, as far as those before have left any; whether it did."""
    call, waiting, _ = one
    if mine.free < call.amount:
        return False
    waiting.set_result(_take(mine, call))
    return True


def _fail(waiting: asyncio.Future[Any], error: BaseException) -> None:
    if not waiting.done():
        waiting.set_exception(error)
        waiting.exception()  # counts as seen: whoever awaits still gets it
