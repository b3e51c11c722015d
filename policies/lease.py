"""A slice of the budgets as its process holds it: calls are granted out of it and end in it, all in memory.

What is done for every call is written out: a call of a function for each step would cost as much as the step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from policies.book import Hold, Key
from policies.payers import Payer, Seen
from policies.slices import Draw

Waiting = tuple[str, int, "asyncio.Future[Any]"]
"""A call, the most that it can cost, and the future of its hold."""

Moved = list[tuple[Raw, int, int]]
"""How accounts move with a call, as the ledger tells: each account's head, what was spent before and after."""


@dataclass(slots=True, eq=False)
class Slice:
    """A part of the budgets over one set of accounts. Money in nano-dollars."""

    id: str
    payer: Payer
    keys: tuple[Key, ...]
    accounts: tuple[Seen, ...]
    gather: Callable[[Slice], None]
    """Is told once calls are to be booked."""
    free: int = 0
    """What is granted to nobody."""
    low: int = 1 << 62
    """The least that was free since it was tended, as far as was looked at: calls come and end in waves."""
    spare: int = 0
    """What it has for calls to come; 0 while they come slowly, and then what is free goes back at once."""
    least: int = 0
    """What it keeps of that while calls come at all."""
    running: int = 0
    """Calls under way."""
    ended: bool = False
    """Whether calls have ended of which the store has not been told; `spent` and `unspent` are theirs together."""
    spent: int = 0
    unspent: int = 0
    """What the slice is no longer to hold, beside what was spent."""
    booking: Draw | None = None
    """What the store is being told, or could not be told, of calls before these."""
    stuck: bool = False
    """Whether it could not be told."""
    draws: int = 0
    told: list[asyncio.Future[None]] = field(default_factory=list)
    """Who waits until the calls that have ended are durable."""
    waiting: deque[Waiting] = field(default_factory=deque)
    asked: bool = False
    """Whether the store is being asked for more; `asking`: for how many of those that wait."""
    asking: int = 0
    used: float = 0.0
    topped: float = 0.0
    renewed: float = 0.0
    over: bool = False
    """Grants nothing any more."""

    @property
    def busy(self) -> bool:
        """Whether calls are under way, or not booked yet."""
        return bool(self.running or self.ended or self.booking)

    def coming(self) -> int:
        """What goes back to the budgets as soon as the calls that have ended are booked."""
        booking = self.booking
        return self.unspent + (0 if booking is None else booking.amount - booking.spent)

    def gain(self, amount: int) -> None:
        """More is free; or less, below 0."""
        self.free += amount
        for account in self.accounts:
            account.room += amount

    def needs(self) -> tuple[int, ...]:
        """What those who wait need beyond what is free."""
        needs, free = [], self.free
        for _, amount, _ in self.waiting:
            need = max(amount - free, 0)
            free -= amount - need
            needs.append(need)
        return tuple(needs)

    def part(self, name: str, amount: int) -> Part:
        """Grants a call."""
        self.gain(-amount)
        self.running += 1
        return Part(name, amount, self.id, self)

    def end(self, amount: int, cost: int) -> Moved:
        """Books a call, which was granted an `amount`, at its cost, and tells how that moves the accounts as this
        process sees them. The store is told in a moment. Called once for each call."""
        if not self.ended:
            self.ended = True
            self.gather(self)
        rest = amount - cost
        if rest > 0 and self.spare:
            self.free += rest
        else:  # it goes back
            self.unspent += rest
            rest = 0
        self.running -= 1
        self.spent += cost
        moved = []
        for account in self.accounts:
            own = account.own
            before = account.spent + own
            account.own = own + cost
            account.room += rest
            moved.append((account.head, before, before + cost))
        return moved

    def take(self, one: Waiting) -> None:
        """Grants a call that waits."""
        name, amount, waiting = one
        waiting.set_result(self.part(name, amount))

    def fits(self, one: Waiting) -> bool:
        """Grants a call out of what came free meanwhile, as far as those before have left any; whether it did."""
        if self.free < one[1]:
            return False
        self.take(one)
        return True

    def serve(self, now: float) -> None:
        """Grants those that wait in their order, as far as what is free goes, and refuses those for whom the budgets
        have no room."""
        while self.waiting and (self.waiting[0][2].done() or self.fits(self.waiting[0])):
            self.waiting.popleft()
        waiting, self.waiting = self.waiting, deque()
        for one in waiting:
            refused = self.payer.short(one[1], now, False)
            if refused is None:
                self.waiting.append(one)
            elif not one[2].done():
                one[2].set_result(refused)

    def drawn(self) -> Draw:
        """What the store is to be told of the calls that have ended."""
        self.draws += 1
        self.booking = drawn = Draw(self.id, self.draws, self.spent, self.spent + self.unspent)
        self.ended, self.spent, self.unspent = False, 0, 0
        return drawn

    def booked(self, stuck: bool) -> None:
        """The store was told; `stuck`: it may have taken that or not, and is to be told again."""
        self.stuck = stuck
        if self.booking is not None and not stuck:
            for account in self.accounts:
                account.own -= self.booking.spent
            self.booking = None


class Part(Hold, eq=False):
    """What a call was granted from a slice, until it ends."""

    lease: Slice | None = None
    """`None` once it has ended."""

    def end(self, cost: int | None) -> Moved | None:
        """Books the call at its cost, the first time; an unknown cost is all that it could cost."""
        mine, self.lease = self.lease, None
        return None if mine is None else mine.end(self.amount, self.amount if cost is None else cost)
