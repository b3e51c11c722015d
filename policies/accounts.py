"""What calls may cost: reserved before anything is asked, settled after, within every budget and rate at once.

A store that does not answer admits nothing: whoever cannot be counted is not served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from policies.batches import StoreUnavailable
from policies.book import Account, Book, Hold, Key, Moves, Operation, Order, Refused, Reservation
from policies.clock import SteadyClock
from policies.limits import Charge, Limit, Rate, Scopes, charges
from policies.store_sqlite import SQLiteStore

GRACE = 30.0
"""Seconds after a call's own deadline until its reservation is swept."""
SWEEP_SECONDS = 5.0
LONGEST_PERIOD = 32 * 24 * 3600


class Store(Protocol):
    """Runs operations in durable transactions, or raises StoreUnavailable."""

    @property
    def patience(self) -> float:
        """Seconds without progress after which what waits is refused."""
        ...

    @property
    def progress(self) -> int:
        """Grows while the store works: tells a busy one from one that is stuck."""
        ...

    async def alive(self) -> bool:
        """Whether a store without progress still answers, within its patience."""
        ...

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues an operation; the future has what it returned once that is durable."""
        ...

    async def expired(self, now: float) -> list[str]:
        """Names of open reservations whose time is over."""
        ...

    async def balances(self, since: int) -> list[Account]:
        """The accounts of periods that began at `since` or later, and of those that never end."""
        ...

    async def reservations(self) -> list[Reservation]:
        """All reservations, for an audit."""
        ...

    async def close(self) -> None: ...


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
        self._clock, self._alarm, self._longest_wait = clock or SteadyClock(), alarm, longest_wait
        self._taken: dict[Key, int] = {}
        self._late: dict[str, Operation] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    @classmethod
    def open(
        cls, where: str | Path, limits: Sequence[Limit] = (), rates: Sequence[Rate] = (), **about: Any
    ) -> Accounts:
        """Accounts in a SQLite file or at a PostgreSQL server's URL. `about`: clock, alarm, longest_wait.
        Raises SetupError."""
        if str(where).startswith(("postgresql://", "postgres://")):
            from policies.store_postgres import PostgresStore

            return cls(PostgresStore(str(where)), limits, rates, **about)
        return cls(SQLiteStore(Path(where)), limits, rates, **about)

    async def start(self) -> None:
        """Learns what was spent, proves that the store can write, and sweeps from now on. Raises StoreUnavailable."""
        await self._submit(Operation("", lambda book: None))
        await self.refresh()
        self._sweeper = asyncio.create_task(self._keep_sweeping())

    async def close(self) -> None:
        """Ends after all that was settled is durable."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        while self._pending:  # what is granted too late is given back meanwhile
            await asyncio.wait(self._pending)
        await self.store.close()

    def allowance(self, scopes: Scopes) -> int | None:
        """Nano-dollars that hard budgets leave, as last seen; `None` if none applies. Reserving decides."""
        hard = [charge for charge in self._charges(scopes) if charge.limit is not None and charge.limit.hard]
        return min((max(limit - taken, 0) for limit, taken in self._of(hard).values()), default=None)

    def balances(self, scopes: Scopes) -> Mapping[str, tuple[int, int]]:
        """For each budget of a call, its amount and what of it is spent or held, as last seen."""
        return self._of(self._charges(scopes))

    async def reserve(
        self, name: str, scopes: Scopes, amount: int, tokens: int = 0, seconds: float = 600.0, *, price: str = ""
    ) -> Hold | Refused:
        """Reserves the most that the call `name` can cost on all its accounts, or on none. `seconds` is how long it
        may take; `price` the version of the prices. Raises StoreUnavailable; then, and if the caller is cancelled,
        what may yet be granted is given back."""
        booked, now = self._charges(scopes), self._clock()
        if not booked:
            return Hold(name, amount)
        order = Order(name, amount, booked, now, now + seconds + GRACE, tokens, price)
        keys = tuple(charge.account for charge in booked)
        future = self._submit(Operation(name, lambda book: book.reserve(order), keys))
        try:
            granted: Hold | Refused = await self._answer(future)
        except (asyncio.CancelledError, StoreUnavailable):
            future.add_done_callback(partial(self._give_back, name))
            raise
        return granted

    async def settle(self, hold: Hold, cost: int | None, tokens: int | None = None) -> bool:
        """Books the true cost, once; whether this was the first time. An unknown cost (`None`) keeps the debit.
        It is queued before this waits; if the store fails, StoreUnavailable is raised and it is tried again later."""
        if cost is None:
            return await self.abandon(hold)
        if cost < 0:
            raise ValueError("a cost is at least 0")
        return await self._end(Operation(hold.id, lambda book: book.settle(hold.id, cost, tokens)))

    async def abandon(self, hold: Hold) -> bool:
        """Keeps the whole debit of a call whose cost nobody will know."""
        return await self._end(Operation(hold.id, lambda book: book.abandon(hold.id)))

    async def sweep(self) -> int:
        """Ends the reservations whose holders died, at the whole amount; settles what the store had missed.
        How many were swept."""
        late, self._late = list(self._late.values()), {}
        await asyncio.gather(*(self._end(operation) for operation in late))
        names = await self.store.expired(self._clock())
        return sum(
            await asyncio.gather(*(self._end(Operation(name, partial(Book.sweep, name=name))) for name in names))
        )

    async def refresh(self) -> None:
        """Looks again at what all have spent."""
        for account in await self.store.balances(int(self._clock()) - LONGEST_PERIOD):
            self._taken[account.bucket, account.start] = account.spent + account.held

    def _charges(self, scopes: Scopes) -> tuple[Charge, ...]:
        return charges(self.limits, self.rates, scopes, self._clock()) if self.limits or self.rates else ()

    def _of(self, booked: Sequence[Charge]) -> dict[str, tuple[int, int]]:
        return {
            charge.limit.name: (charge.limit.amount, self._taken.get(charge.account, 0))
            for charge in booked
            if charge.limit is not None
        }

    def _submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues it; the future has what it returned, and this process remembers what it saw on the way."""

        def run(book: Book) -> Any:
            result = operation.run(book)
            return result, {key: account.spent + account.held for key, account in book.seen.items()}

        future = self.store.submit(Operation(operation.id, run, operation.accounts))
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    async def _answer(self, future: asyncio.Future[Any]) -> Any:
        """What the future has, as long as the store makes progress or at least answers."""
        until = asyncio.get_running_loop().time() + self._longest_wait
        while True:
            progress = self.store.progress
            done, _ = await asyncio.wait({future}, timeout=self.store.patience)
            if done:
                break
            late = asyncio.get_running_loop().time() > until
            if late or (self.store.progress == progress and not await self.store.alive()):
                raise StoreUnavailable("the store of budgets did not answer in time")
        result, seen = future.result()
        self._taken.update(seen)
        return result

    def _give_back(self, name: str, future: asyncio.Future[Any]) -> None:
        """Settles at nothing what was granted, or may have been, after its caller had gone: nobody was asked."""
        granted = None if future.exception() else future.result()[0]
        if future.exception() or isinstance(granted, Hold):
            free = Operation(name, lambda book: book.settle(name, 0, 0))
            self._submit(free).add_done_callback(partial(self._ended, free))

    async def _end(self, operation: Operation) -> bool:
        future = self._submit(operation)
        future.add_done_callback(partial(self._ended, operation))
        moves, _ = await asyncio.shield(future)
        return moves is not None

    def _ended(self, operation: Operation, future: asyncio.Future[Any]) -> None:
        if future.cancelled() or isinstance(future.exception(), StoreUnavailable):
            self._late[operation.id] = operation
            return
        moves, seen = future.result()
        self._taken.update(seen)
        self._watch(moves or ())

    def _watch(self, moves: Moves) -> None:
        """Raises the alarms of the shares that were crossed."""
        limits = {limit.name: limit for limit in self.limits}
        for move in moves:
            limit = limits.get(move.bucket.partition(" ")[0])
            for share in limit.alarms if limit else ():
                if limit and move.before < share * limit.amount <= move.after:
                    self._alarm(Alarm(limit.name, move.bucket, share))

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(StoreUnavailable):
                await self.sweep()
                await self.refresh()
