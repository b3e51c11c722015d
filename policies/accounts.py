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
from policies.book import Book, Hold, Key, Moves, Operation, Order, Refused
from policies.clock import SteadyClock
from policies.draws import Draws
from policies.leases import Leases
from policies.limits import Applied, Booked, Charge, Limit, Rate, Scopes
from policies.patience import Patience, Store
from policies.pressure import Standing
from policies.slices import Call
from policies.store_sqlite import SQLiteStore

GRACE = 30.0
"""Seconds after a call's own deadline until its reservation is swept."""
SWEEP_SECONDS = 5.0
TEND_SECONDS = 0.5
LONGEST_PERIOD = 32 * 24 * 3600
NONE = (0, 0)


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
        self.amounts = {limit.name: limit.amount for limit in self.limits}
        """Nano-dollars of each budget."""
        self._steps = {limit.name: [(each, each * limit.amount) for each in limit.alarms] for limit in self.limits}
        """The shares of each budget that raise an alarm, and what spend reaches them."""
        self._clock, self._alarm = clock or SteadyClock(), alarm
        self._applied = Applied(self.limits, self.rates)
        self._seen: dict[Key, tuple[int, int]] = {}
        self._late: dict[str, Operation] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._patience = Patience(store, longest_wait)
        self._draws = Draws(self._submit, self._booked, self._missed)
        self._leases = Leases(f"slice-{secrets.token_hex(6)}", self._submit, self._finish, self._clock)

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
        before = set(self._pending)
        self._draws.flush()
        if drawn := self._pending - before:
            await asyncio.wait(drawn)
        self._leases.close()
        while self._pending:  # what is granted too late is given back meanwhile
            await asyncio.wait(self._pending)
        await self._patience.close()
        await self.store.close()

    def limited(self, scopes: Scopes) -> bool:
        """Whether any budget or rate applies to a call."""
        return bool(self._booked_on(scopes).charges)

    def allowance(self, scopes: Scopes) -> int | None:
        """Nano-dollars that hard budgets leave, as last seen; `None` if none applies. Reserving decides."""
        least = None
        for charge in self._booked_on(scopes).hard:
            left = charge.amount - self._taken(charge)
            if least is None or left < least:
                least = left
        return least if least is None or least > 0 else 0

    def balances(self, scopes: Scopes) -> Mapping[str, tuple[int, int]]:
        """For each budget of a call, its amount and what of it is spent or held, as last seen."""
        charges = self._booked_on(scopes).charges
        return {
            charge.limit.name: (charge.amount, self._taken(charge)) for charge in charges if charge.limit is not None
        }

    def standings(self, scopes: Scopes) -> Mapping[str, Standing]:
        """By account, how the budgets of a call that steer stand, as last seen."""
        return {
            charge.bucket: Standing(
                charge.limit.amount, self._seen.get(charge.account, (0, 0))[0], charge.start, charge.end
            )
            for charge in self._booked_on(scopes).charges
            if charge.limit is not None and charge.limit.steer and charge.end is not None
        }

    def request(
        self, name: str, scopes: Scopes, amount: int, tokens: int = 0, seconds: float = 600.0, *, price: str = ""
    ) -> Hold | asyncio.Future[Hold | Refused] | None:
        """Reserves the most that the call `name` can cost on all its accounts, or on none: at once if it can, else the
        future of a hold or a refusal; `None` if nothing limits it. `seconds` is how long the call may take; `price` the
        version of the prices. The future may have StoreUnavailable; then, and if it is cancelled, nothing is held."""
        now = self._clock()
        booked = self._applied.of(scopes, now)
        if not booked.charges:
            return None
        if self._late or booked.rated:  # a store that fails is asked itself
            return self._alone(Order(name, amount, booked.charges, now, now + seconds + GRACE, tokens, price))
        granted = self._leases.grant(Call(name, amount, now, price), booked)
        if isinstance(granted, asyncio.Future):
            self._patience.watch(granted)
        return granted

    async def reserve(
        self, name: str, scopes: Scopes, amount: int, tokens: int = 0, seconds: float = 600.0, *, price: str = ""
    ) -> Hold | Refused:
        """As `request`, and waits. Raises StoreUnavailable."""
        granted = self.request(name, scopes, amount, tokens, seconds, price=price)
        if granted is None:
            return Hold(name, amount)
        return await granted if isinstance(granted, asyncio.Future) else granted

    def end(self, hold: Hold, cost: int | None, tokens: int | None = None) -> asyncio.Future[Any] | None:
        """Queues the true cost of a call, once; an unknown cost (`None`) keeps the debit. The future has first how the
        accounts moved (`None`: it was booked before); if the store fails, it is tried again later. `None`: the call
        had ended before. Bookings gather for a moment."""
        if cost is not None and cost < 0:
            raise ValueError("a cost is at least 0")
        if hold.slice:
            operation = self._leases.settled(hold, cost)
            return None if operation is None else self._draws.add(operation)
        if cost is None:
            return self._finish(Operation(hold.id, partial(Book.abandon, name=hold.id)))
        return self._finish(Operation(hold.id, partial(Book.settle, name=hold.id, cost=cost, tokens=tokens)))

    async def settle(self, hold: Hold, cost: int | None, tokens: int | None = None) -> bool:
        """As `end`, and waits; whether this was the first time. Raises StoreUnavailable."""
        future = self.end(hold, cost, tokens)
        self._draws.soon()
        return await _first_time(future)

    async def abandon(self, hold: Hold) -> bool:
        """Keeps the whole debit of a call whose cost nobody will know."""
        return await self.settle(hold, None)

    async def sweep(self) -> int:
        """Ends the reservations whose holders died, at the whole amount; settles what the store had missed.
        How many were swept."""
        late, self._late = list(self._late.values()), {}
        await asyncio.gather(*(_first_time(self._finish(operation)) for operation in late))
        names = await self.store.expired(self._clock())
        sweeps = [self._finish(Operation(name, partial(Book.sweep, name=name))) for name in names]
        return sum(await asyncio.gather(*map(_first_time, sweeps)))

    async def refresh(self) -> None:
        """Looks again at what all have spent."""
        for account in await self.store.balances(int(self._clock()) - LONGEST_PERIOD):
            self._seen[account.bucket, account.start] = account.spent, account.held

    def _booked_on(self, scopes: Scopes) -> Booked:
        return self._applied.of(scopes, self._clock())

    def _taken(self, charge: Charge) -> int:
        """Nano-dollars of an account that are spent or held, as last seen."""
        spent, held = self._seen.get(charge.account, NONE)
        return spent + held - self._leases.free(charge.account)

    def _submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues it; the future has what it returned, and this process remembers what it saw on the way."""

        def run(book: Book) -> Any:
            result = operation.run(book)
            return result, {key: (account.spent, account.held) for key, account in book.seen.items()}

        future = self.store.submit(replace(operation, run=run))
        self._pending.add(future)
        future.add_done_callback(self._saw)
        return future

    def _saw(self, future: asyncio.Future[Any]) -> None:
        self._pending.discard(future)
        if not future.cancelled() and future.exception() is None:
            self._seen.update(future.result()[1])

    def _alone(self, order: Order) -> asyncio.Future[Any]:
        """A reservation of its own: rates count calls, and a slice is none."""
        keys = tuple(charge.account for charge in order.charges)
        granted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._patience.watch(granted)
        operation = Operation(order.id, lambda book: book.reserve(order), keys)
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
            self._missed(operation)
        else:
            self._booked(operation, future.result()[0])

    def _missed(self, operation: Operation) -> None:
        """The store could not take it: it is tried again with the next sweep."""
        self._late[operation.id] = operation

    def _booked(self, operation: Operation, moves: Moves | None) -> None:
        self._leases.booked(operation)
        if moves:
            self._watch(moves)

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
            self._leases.tend()
            if asyncio.get_running_loop().time() - sweeping >= SWEEP_SECONDS:
                with suppress(StoreUnavailable):
                    await self.sweep()
                    await self.refresh()
                sweeping = asyncio.get_running_loop().time()


async def _first_time(future: asyncio.Future[Any] | None) -> bool:
    """Whether an operation that ends a call was the first to do so."""
    if future is None:
        return False
    moves, _ = await asyncio.shield(future)
    return moves is not None
