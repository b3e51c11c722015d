"""Grants calls from slices of the budgets that this process holds, so that a call need not wait for the store.

One slice for each set of accounts that calls are booked on. It is topped up with what waits and, while calls keep
coming, with more for those to come; what is not used goes back after a moment, and at once where a budget is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from policies.batches import StoreUnavailable
from policies.book import Book, Key, Operation, Order, Refused
from policies.lease import Part, Slice, Waiting
from policies.payers import Payer
from policies.slices import Topped, give_back, top_up

Refusal = tuple[Waiting, Refused]
"""One that the store has no room for, and why."""

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


class Leases:
    """The slices of this process; `name` is unique among processes. `submit` queues an operation whose result comes
    first in its future's; `finish` does, too, and tries again when the store is back; `gather` is told of slices whose
    calls are to be booked."""

    def __init__(
        self,
        name: str,
        submit: Submit,
        finish: Submit,
        gather: Callable[[Slice], None],
        clock: Callable[[], float],
    ) -> None:
        self._name, self._submit, self._finish, self._clock = name, submit, finish, clock
        self._gather = gather
        self._current: dict[tuple[Key, ...], Slice] = {}
        self._all: dict[str, Slice] = {}
        self._made = 0
        self._closed = False

    def grant(self, payer: Payer, name: str, amount: int) -> Part | asyncio.Future[Any]:
        """A part of the slice of these accounts, or the future of one or of a Refused."""
        mine = payer.slice
        if mine is None or mine.over:
            mine = payer.slice = self._slice(payer)
        mine.used = payer.looked
        if mine.free >= amount and not mine.waiting:
            return mine.part(name, amount)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused = payer.short(amount, self._clock(), mine.asked)
        if refused is not None:
            future.set_result(refused)
            return future
        mine.waiting.append((name, amount, future))
        if not mine.asked:
            self._ask(mine)
        return future

    def tend(self) -> None:
        """Returns what calls do not come for, sees to it that they need not wait, and keeps the rest from being
        swept."""
        now = self._clock()
        for one in [each for each in self._all.values() if not (each.asked or each.waiting)]:
            idle = now - one.used > IDLE_SECONDS
            if not one.busy and (one.over or idle):
                self._drop(one)
                continue
            low, one.low = min(one.low, one.free), one.free
            if low < one.spare // 2 and not idle:
                self._ask(one, low)
                continue
            if now - one.topped > QUICK_SECONDS:
                one.spare = max(one.spare // 2, 0 if idle else min(one.least, one.spare))
            unused = max(low - one.spare, 0) if one.spare else one.free
            if unused or now - one.renewed > KEPT_SECONDS / 3:
                self._return(one, unused)

    def close(self) -> None:
        """Returns everything but what calls that are still under way may cost."""
        self._closed = True
        for one in list(self._all.values()):
            for _, _, waiting in one.waiting:
                _fail(waiting, StoreUnavailable("the accounts are closed"))
            if one.busy:
                self._return(one, one.free)
            else:
                self._drop(one)

    def _slice(self, payer: Payer) -> Slice:
        mine = self._current.get(payer.keys)
        if mine is None:
            self._made += 1
            mine = Slice(f"{self._name}.{self._made}", payer, payer.keys, payer.accounts, self._gather)
            self._current[payer.keys] = self._all[mine.id] = mine
        return mine

    def _ask(self, mine: Slice, low: int = 0, again: bool = False) -> None:
        """Asks the store for what all who wait need, and for more if calls come quickly; `low` is there of that."""
        now = self._clock()
        needs, spare = mine.needs(), mine.spare - low
        if needs and now - mine.topped < QUICK_SECONDS:
            mine.least = min(SPARE_CALLS * mine.waiting[0][1], MOST_SPARE)
            spare = mine.spare = min(max(2 * mine.spare, mine.least), MOST_SPARE)
        mine.asked, mine.asking, mine.topped, mine.renewed = True, len(needs), now, now
        order = Order(mine.id, 0, mine.payer.charges, now, now + KEPT_SECONDS)
        operation = Operation(mine.id, partial(top_up, order=order, needs=needs, spare=spare), mine.keys)
        self._submit(operation).add_done_callback(partial(self._topped, mine, again))

    def _topped(self, mine: Slice, again: bool, future: asyncio.Future[Any]) -> None:
        waited = [mine.waiting.popleft() for _ in range(mine.asking)]
        mine.asked, mine.asking = False, 0
        error = future.exception()
        if error is None:
            topped: Topped = future.result()[0]
            self._deal(mine, waited, topped, again)
        else:
            self._retire(mine)  # nobody knows what it holds now
            for _, _, waiting in waited:
                _fail(waiting, error)
        if mine.waiting and not mine.asked:
            self._pass_on(mine)
        if self._closed:
            self._return(mine, mine.free)

    def _deal(self, mine: Slice, waited: Sequence[Waiting], topped: Topped, again: bool) -> None:
        """Grants what the store allowed. Who is refused is asked for once more if other slices had what is missing."""
        mine.gain(topped.added)
        refused: list[Refusal] = []
        gone = 0
        for one, why in zip(waited, topped.verdicts, strict=True):
            if one[2].done():  # its caller has left
                gone += one[1] if why is None else 0
            elif why is None:
                mine.take(one)
            else:
                refused.append((one, why))
        if gone and not mine.spare:
            self._return(mine, gone)
        refused = [each for each in refused if not mine.fits(each[0])]
        if any(why.kind == "closed" for _, why in refused):
            self._retire(mine)  # it was swept: this process was believed dead
            mine.waiting.extendleft(one for one, _ in reversed(refused))
        elif refused and not again and self._reclaim(mine):
            mine.waiting.extendleft(one for one, _ in reversed(refused))
            self._ask(mine, again=True)
        else:
            for (_, _, waiting), why in refused:
                waiting.set_result(why)

    def _pass_on(self, mine: Slice) -> None:
        """Those who came meanwhile get what is free now, or the store's last word; the rest are asked for, by the slice
        that takes the place of one that is over. To ask for all of them again would double what is spare each time the
        store is slow."""
        heir = mine
        if mine.over:
            heir = self._slice(mine.payer)
            heir.waiting.extend(mine.waiting)
            mine.waiting.clear()
        heir.serve(self._clock())
        if heir.waiting:
            self._ask(heir)

    def _reclaim(self, mine: Slice) -> bool:
        """Returns what other slices on the same accounts have free; whether there was any."""
        keys = set(mine.keys)
        others = [one for one in self._current.values() if one.free > 0 and not one.asked and keys & set(one.keys)]
        for one in others:
            self._return(one, one.free)
        return bool(others)

    def _return(self, one: Slice, amount: int) -> None:
        """Gives a part back, and says that the rest is still wanted."""
        one.gain(-amount)
        one.renewed = now = self._clock()
        self._submit(Operation(one.id, partial(give_back, slice_id=one.id, amount=amount, until=now + KEPT_SECONDS)))

    def _retire(self, one: Slice) -> None:
        """It grants nothing any more; what is left of it goes back when its last call has ended."""
        one.gain(-one.free)
        one.over, one.spare = True, 0
        if self._current.get(one.keys) is one:
            del self._current[one.keys]

    def _drop(self, one: Slice) -> None:
        """Forgets a slice that nobody uses; what is left of it goes back."""
        self._retire(one)
        del self._all[one.id]
        self._finish(Operation(one.id, partial(Book.settle, name=one.id, cost=0)))


def _fail(waiting: asyncio.Future[Any], error: BaseException) -> None:
    if not waiting.done():
        waiting.set_exception(error)
        waiting.exception()  # counts as seen: whoever awaits still gets it
