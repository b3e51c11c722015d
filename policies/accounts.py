"""What calls may cost: reserved before anything is asked, settled after, within every budget and rate at once.

A store that does not answer admits nothing: whoever cannot be counted is not served.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from policies.batches import StoreUnavailable
from policies.book import Book, Hold, Moves, Operation, Order, Refused
from policies.clock import SteadyClock
from policies.draws import Again, Draws
from policies.lease import Moved, Part, Slice
from policies.leases import Leases
from policies.limits import Limit, Rate, Scopes
from policies.patience import Patience, Store
from policies.payers import Payer, Payers
from policies.pressure import Standing
from policies.store_sqlite import SQLiteStore

CALL_SECONDS, GRACE = 600.0, 30.0
"""How long a call may take whose caller does not say; from a call's deadline until its reservation is swept."""
SWEEP_SECONDS, TEND_SECONDS = 5.0, 0.5


@dataclass(frozen=True, slots=True)
class Alarm:
    """A budget's spend has reached a share of it."""

    name: str
    bucket: str
    share: float


class Accounts:
    """The budgets and rates of a gateway, shared by all that use the same store."""

    def __init__(
        self,
        store: Store,
        limits: Sequence[Limit] = (),
        rates: Sequence[Rate] = (),
        clock: Callable[[], float] | None = None,
        alarm: Callable[[Alarm], None] = lambda alarm: None,
        longest_wait: float = 5.0,
    ) -> None:
        """`longest_wait`: seconds after which a call is refused, however busy the store is."""
        self.store, self.limits, self.rates = store, tuple(limits), tuple(rates)
        scopes = [*(limit.scope for limit in self.limits), *(rate.scope for rate in self.rates)]
        self.kinds = frozenset(pattern.partition(":")[0] for scope in scopes for pattern in scope)
        """What of a call's scopes any budget or rate looks at."""
        self._steps = {limit.name: [(each, each * limit.amount) for each in limit.alarms] for limit in self.limits}
        """The shares of each budget that raise an alarm, and what spend reaches them."""
        self.clock: Callable[[], float] = clock or SteadyClock()
        """Unix seconds, as budgets see them."""
        self._alarm = alarm
        self._payers = Payers(self.limits, self.rates)
        self._seen: Book | None = None
        """The rows that were looked at last."""
        self._late: dict[str, Again] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._patience = Patience(store, longest_wait)
        self._draws = Draws(self._submit, self._watch, self._missed)
        name = f"slice-{secrets.token_hex(6)}"
        self._leases = Leases(name, self._submit, self._finish, self._draws.gather, self.clock)

    @classmethod
    def open(
        cls, where: str | Path, limits: Sequence[Limit] = (), rates: Sequence[Rate] = (), **about: Any
    ) -> Accounts:
        """Accounts in a SQLite file or at a PostgreSQL server's URL. `about`: clock, alarm, longest_wait.
        Raises SetupError."""
        if str(where).startswith(("postgresql://", "postgres://")):
            from policies.store_postgres import PostgresStore

            patience = {key: about[key] for key in ("longest_wait",) if key in about}
            return cls(PostgresStore(str(where), **patience), limits, rates, **about)
        return cls(SQLiteStore(Path(where)), limits, rates, **about)

    async def start(self) -> None:
        """Learns what was spent, proves that the store can write, and sweeps from now on. Raises StoreUnavailable."""
        await self._submit(Operation("", lambda book: None))  # as patient as the store itself: many may start at once
        await self.refresh()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Ends after all that was settled is durable; what was not spent has gone back."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._draws.close()
        self._leases.close()
        while self._pending:  # what is granted too late is given back meanwhile
            await asyncio.wait(self._pending)
        await self._patience.close()
        await self.store.close()

    def payer(self, scopes: Scopes) -> Payer:
        """Who pays for a call now, for as long as `payer.since <= now < payer.until`."""
        return self._payers.of(scopes, self.clock())

    def allowance(self, scopes: Scopes) -> int | None:
        """Nano-dollars that hard budgets leave, as last seen; `None` if none applies. Reserving decides."""
        return self.payer(scopes).left()

    def balances(self, scopes: Scopes) -> Mapping[str, tuple[int, int]]:
        """For each budget of a call, its amount and what of it is spent or held, as last seen."""
        payer = self.payer(scopes)
        both = zip(payer.charges, payer.accounts, strict=True)
        return {charge.limit.name: (charge.amount, -seen.room) for charge, seen in both if charge.limit is not None}

    def standings(self, scopes: Scopes) -> Mapping[str, Standing]:
        """By account, how the budgets of a call that steer stand, as last seen."""
        payer = self.payer(scopes)
        return {
            charge.bucket: Standing(charge.limit.amount, seen.spent + seen.own, charge.start, charge.end)
            for charge, seen in zip(payer.charges, payer.accounts, strict=True)
            if charge.limit is not None and charge.limit.steer and charge.end is not None
        }

    def request(
        self, name: str, scopes: Scopes, amount: int, tokens: int = 0, seconds: float = CALL_SECONDS, *, price: str = ""
    ) -> Hold | asyncio.Future[Hold | Refused] | None:
        """Reserves the most that the call `name` can cost on all its accounts, or on none: at once if it can, else the
        future of a hold or a refusal; `None` if nothing limits it. `seconds` is how long the call may take; `price` the
        version of the prices. The future may have StoreUnavailable; then, and if it is cancelled, nothing is held."""
        payer = self.payer(scopes)
        return self.grant(payer, name, amount, tokens, price, seconds) if payer.charges else None

    def grant(
        self, payer: Payer, name: str, amount: int, tokens: int, price: str, seconds: float = CALL_SECONDS
    ) -> Hold | asyncio.Future[Hold | Refused]:
        """The same for who has been found to pay."""
        lease = self.at_once(payer, amount)
        if lease is not None:
            return Part(name, amount, lease.id, lease)
        if self._late or payer.rated:  # a store that fails is asked itself
            now = self.clock()
            return self._alone(Order(name, amount, payer.charges, now, now + seconds + GRACE, tokens, price), payer)
        granted = self._leases.grant(payer, name, amount)
        if not (isinstance(granted, Part) or granted.done()):
            self._patience.watch(granted)
        return granted

    def at_once(self, payer: Payer, amount: int) -> Slice | None:
        """The slice granted from last, out of which a call is granted now and which is to be told of its end; `None`:
        it has not enough, others wait, the store fails."""
        mine = payer.slice
        if mine is None or mine.free < amount or mine.waiting or mine.over or self._late:
            return None
        mine.used = payer.looked
        mine.free -= amount
        mine.running += 1
        for account in mine.accounts:
            account.room -= amount
        return mine

    async def reserve(
        self, name: str, scopes: Scopes, amount: int, tokens: int = 0, seconds: float = 600.0, *, price: str = ""
    ) -> Hold | Refused:
        """As `request`, and waits. Raises StoreUnavailable."""
        granted = self.request(name, scopes, amount, tokens, seconds, price=price)
        if granted is None:
            return Hold(name, amount)
        return await granted if isinstance(granted, asyncio.Future) else granted

    def end(self, hold: Hold, cost: int | None, tokens: int | None = None) -> Moved | asyncio.Future[Any] | None:
        """Books the true cost of a call, once; an unknown cost (`None`) keeps the debit. `None`: it had ended before.
        A part of a slice is booked in a moment, and what comes back is how the accounts move as this process sees them.
        Else it is a future that has first how they moved (`None`: it was booked before). If the store fails, both are
        tried again later."""
        if cost is not None and cost < 0:
            raise ValueError("a cost is at least 0")
        if isinstance(hold, Part):
            return hold.end(cost)
        if cost is None:
            return self._finish(Operation(hold.id, partial(Book.abandon, name=hold.id)))
        return self._finish(Operation(hold.id, partial(Book.settle, name=hold.id, cost=cost, tokens=tokens)))

    async def settle(self, hold: Hold, cost: int | None, tokens: int | None = None) -> bool:
        """As `end`, and waits; whether this was the first time. Raises StoreUnavailable."""
        lease = hold.lease if isinstance(hold, Part) else None
        moved = self.end(hold, cost, tokens)
        if lease is not None:
            await self._draws.durable(lease)
            return True
        return isinstance(moved, asyncio.Future) and await _first_time(moved)

    async def abandon(self, hold: Hold) -> bool:
        """Keeps the whole debit of a call whose cost nobody will know."""
        return await self.settle(hold, None)

    async def sweep(self) -> int:
        """Ends the reservations whose holders died, at the whole amount; settles what the store had missed.
        How many were swept; one that cannot be ended keeps none of the others."""
        late, self._late = list(self._late.values()), {}
        await asyncio.gather(*(asyncio.shield(again()) for again in late), return_exceptions=True)
        names = set(await self.store.expired(self.clock())) - self._late.keys()  # those end at what they cost
        sweeps = [self._finish(Operation(name, partial(Book.sweep, name=name))) for name in names]
        return (await asyncio.gather(*map(_first_time, sweeps), return_exceptions=True)).count(True)

    async def refresh(self) -> None:
        """Looks again at what all have spent."""
        starts = self._payers.starts(self.clock())
        self._payers.saw(await self.store.balances(starts), self.clock())
        self._payers.forget(starts, self.clock())

    def _submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues it; the future has what it returned, and this process remembers what it saw on the way."""

        run = operation.run
        future = self.store.submit(replace(operation, run=lambda book: (run(book), book)))
        self._pending.add(future)
        future.add_done_callback(self._saw)
        return future

    def _saw(self, future: asyncio.Future[Any]) -> None:
        self._pending.discard(future)
        if not future.cancelled() and future.exception() is None:
            book = future.result()[1]
            if book is not self._seen:  # operations share a transaction: its rows are looked at once
                self._seen = book
                self._payers.saw(book.seen.values(), self.clock())

    def _alone(self, order: Order, payer: Payer) -> asyncio.Future[Any]:
        """A reservation of its own: rates count calls, and a slice is none."""
        granted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused = None if self._late else payer.short(order.amount, order.now, bool(self._pending))
        if refused is not None:
            granted.set_result(refused)
            return granted
        self._patience.watch(granted)
        operation = Operation(order.id, lambda book: book.reserve(order), payer.keys)
        self._submit(operation).add_done_callback(partial(self._granted, order.id, granted))
        return granted

    def _granted(self, name: str, granted: asyncio.Future[Any], future: asyncio.Future[Any]) -> None:
        """Tells whoever waits; what was granted too late, or may have been, is settled at nothing: nobody was asked."""
        error = future.exception()
        if error is not None and not granted.done():
            granted.set_exception(error)
            granted.exception()  # counts as seen: whoever awaits still gets it
        elif error is None and not granted.done():
            granted.set_result(future.result()[0])
            return
        if error is not None or isinstance(future.result()[0], Hold):
            self._finish(Operation(name, partial(Book.settle, name=name, cost=0, tokens=0)))

    def _finish(self, operation: Operation) -> asyncio.Future[Any]:
        future = self._submit(operation)
        future.add_done_callback(partial(self._ended, operation))
        return future

    def _ended(self, operation: Operation, future: asyncio.Future[Any]) -> None:
        if future.cancelled() or isinstance(future.exception(), StoreUnavailable):
            self._missed(operation.id, partial(self._finish, operation))
        else:
            self._watch(future.result()[0] or ())

    def _missed(self, name: str, again: Again) -> None:
        """The store could not take it: it is tried again with the next sweep."""
        self._late[name] = again

    def _watch(self, moves: Moves) -> None:
        """Raises the alarms of the shares that were crossed."""
        for move in moves:
            name = move.bucket.partition(" ")[0]
            for share, amount in self._steps.get(name, ()):
                if move.before < amount <= move.after:
                    self._alarm(Alarm(name, move.bucket, share))

    async def _keep(self) -> None:
        """Tends the slices and, less often, sweeps and looks at what others have spent."""
        sweeping = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(min(TEND_SECONDS, SWEEP_SECONDS))
            self._draws.flush()  # in the same transaction
            self._leases.tend()
            if asyncio.get_running_loop().time() - sweeping >= SWEEP_SECONDS:
                with suppress(StoreUnavailable):
                    await self.sweep()
                    await self.refresh()
                sweeping = asyncio.get_running_loop().time()


async def _first_time(future: asyncio.Future[Any]) -> bool:
    """Whether an operation that ends a call was the first to do so."""
    return (await asyncio.shield(future))[0] is not None
