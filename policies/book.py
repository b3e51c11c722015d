"""The arithmetic of accounts: reserve before, settle after, and nothing twice. Pure: stores load and save its rows.

A reservation is `open`, then once `settled` at its true cost, `abandoned` or `swept` at the whole amount reserved.
A swept one may still be settled when its true cost arrives late; the other two are final.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from policies.limits import MINUTE, Charge, Rate

Key = tuple[str, int]
State = Literal["open", "settled", "abandoned", "swept"]
MICRO = 1_000_000


@dataclass(slots=True)
class Account:
    """What one scope spent and holds in one period; for a rate, when its allowance is whole again."""

    bucket: str
    start: int
    spent: int = 0
    held: int = 0
    running: int = 0
    requests_at: int = 0
    """Unix microseconds at which all requests of the rate are allowed again; `tokens_at` likewise."""
    tokens_at: int = 0


class Reservation(Struct):
    """One call's claim on its accounts. `booked` are their keys with the microseconds a token takes."""

    id: str
    state: State
    amount: int
    tokens: int
    """Reserved of a rate; of a slice, how often it was booked from."""
    cost: int | None
    """What was spent by it."""
    time: float
    until: float
    """Unix second after which it may be swept: the caller's own deadline has long passed."""
    price: str
    booked: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What a call asks for: the most it can cost and the tokens it can use, on all these accounts at once."""

    id: str
    amount: int
    charges: tuple[Charge, ...]
    now: float
    until: float
    tokens: int = 0
    price: str = ""
    """The version of the prices that the amount was computed with."""

    def __post_init__(self) -> None:
        if self.amount < 0 or self.tokens < 0:
            raise ValueError("an order needs an amount and tokens of at least 0")


class Hold(Struct):
    """A reservation that was granted: one of its own, or a part of the slice that is named."""

    id: str
    amount: int
    slice: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was reserved. `kind` is `budget`, `requests`, `tokens` or `concurrent`, and `name` the limit's; or it is
    `closed`, and the reservation of that name has ended before."""

    kind: str
    name: str
    left: int
    """Nano-dollars, requests or tokens that are left."""
    retry_after: float | None
    """Seconds until asking again may help; `None`: never."""


class Move(Struct, frozen=True):
    """How an account's spend changed; who watches shares of a budget sees each crossing once."""

    bucket: str
    start: int
    before: int
    after: int


Moves = tuple[Move, ...]
Accounts = Callable[[Key], Account | None]
Reservations = Callable[[str], Reservation | None]


class Book:
    """The rows of one transaction: what was `seen` of them; those in `changed` and `reservations` are to be saved."""

    def __init__(self, accounts: Accounts, reservations: Reservations) -> None:
        self._load_account, self._load_reservation = accounts, reservations
        self.seen: dict[Key, Account] = {}
        self.changed: dict[Key, Account] = {}
        self.reservations: dict[str, Reservation] = {}

    def reserve(self, order: Order) -> Hold | Refused:
        """Reserves on all accounts or none. The same order twice is one reservation."""
        known = self.known(order.id)
        if known is not None:
            return Hold(known.id, known.amount) if known.state == "open" else Refused("closed", known.id, 0, None)
        accounts = [self.account(charge.account) for charge in order.charges]
        for charge, account in zip(order.charges, accounts, strict=True):
            refused = refusal(order, charge, account)
            if refused is not None:
                return refused
        for charge, account in zip(order.charges, accounts, strict=True):
            take(order, charge, account)
            self.changed[account.bucket, account.start] = account
        booked = tuple((charge.bucket, charge.start, charge.token_interval) for charge in order.charges)
        self.reservations[order.id] = Reservation(
            order.id, "open", order.amount, order.tokens, None, order.now, order.until, order.price, booked
        )
        return Hold(order.id, order.amount)

    def settle(self, name: str, cost: int, tokens: int | None = None) -> Moves | None:
        """Books the true cost; `None` if it was booked before. Unknown `tokens` count as those reserved."""
        known = self.known(name)
        if cost < 0 or known is None or known.state not in ("open", "swept"):
            return None
        return self._close(known, "settled", cost, 0 if tokens is None else known.tokens - tokens)

    def abandon(self, name: str) -> Moves | None:
        """Keeps the whole amount as spent: nobody knows what the call cost."""
        return self._end_unknown(name, "abandoned")

    def sweep(self, name: str) -> Moves | None:
        """As `abandon`, for a reservation whose holder has died; its true cost may still arrive."""
        return self._end_unknown(name, "swept")

    def _end_unknown(self, name: str, state: State) -> Moves | None:
        known = self.known(name)
        if known is None or known.state != "open":
            return None
        return self._close(known, state, known.amount, 0)

    def _close(self, known: Reservation, state: State, cost: int, unused: int) -> Moves:
        moves = []
        for bucket, start, interval in known.booked:
            account = self.account((bucket, start))
            before = account.spent
            if known.state == "open":
                account.held -= known.amount
                account.running -= 1
                account.spent += cost
            else:
                account.spent += cost - known.amount
            account.tokens_at -= unused * interval
            self.changed[bucket, start] = account
            moves.append(Move(bucket, start, before, account.spent))
        spent = cost if known.state == "open" else cost - known.amount
        known.state, known.cost = state, (known.cost or 0) + spent  # of a slice, beside what was booked from it
        self.reservations[known.id] = known
        return tuple(moves)

    def account(self, key: Key) -> Account:
        """The account, a new one if there is none."""
        if key not in self.seen:
            self.seen[key] = self._load_account(key) or Account(*key)
        return self.seen[key]

    def known(self, name: str) -> Reservation | None:
        """The reservation of a name."""
        return self.reservations.get(name) or self._load_reservation(name)


class Operation(Struct, frozen=True):
    """One call of a book's methods for a store to run in a transaction. `id`, `also` and `accounts` are the rows to
    load beforehand, beside the accounts that the reservations are booked on."""

    id: str
    run: Callable[[Book], Any]
    accounts: tuple[Key, ...] = ()
    also: tuple[str, ...] = ()
    """Other reservations."""


def refusal(order: Order, charge: Charge, account: Account) -> Refused | None:
    """Why an account has no room for an order; `None` if it has."""
    limit, rate = charge.limit, charge.rate
    if limit is not None:
        return over(charge, order.amount, limit.amount - account.spent - account.held, order.now)
    return None if rate is None else _too_fast(order, charge, rate, account)


def over(charge: Charge, amount: int, left: int, now: float) -> Refused | None:
    """The refusal of a call that may cost more than its hard budget has left; `None` if it may not."""
    limit = charge.limit
    if limit is None or not limit.hard or amount <= left:
        return None
    wait = None if charge.end is None or amount > limit.amount else max(charge.end - now, 0.0)
    return Refused("budget", limit.name, max(left, 0), wait)


def _too_fast(order: Order, charge: Charge, rate: Rate, account: Account) -> Refused | None:
    if rate.concurrent is not None and account.running >= rate.concurrent:
        return Refused("concurrent", rate.name, 0, 1.0)
    now = int(order.now * MICRO)
    if rate.requests_per_minute is not None:
        interval = MINUTE // rate.requests_per_minute
        if (late := max(account.requests_at, now) + interval - now - MINUTE) > 0:
            return Refused("requests", rate.name, 0, late / MICRO)
    if charge.token_interval:
        free = MINUTE - max(account.tokens_at - now, 0)
        if (late := order.tokens * charge.token_interval - free) > 0:
            wait = None if order.tokens * charge.token_interval > MINUTE else late / MICRO
            return Refused("tokens", rate.name, max(free // charge.token_interval, 0), wait)
    return None


def take(order: Order, charge: Charge, account: Account) -> None:
    """Books an order on an account that has room for it."""
    account.held += order.amount
    account.running += 1
    now = int(order.now * MICRO)
    if charge.rate is not None and charge.rate.requests_per_minute is not None:
        account.requests_at = max(account.requests_at, now) + MINUTE // charge.rate.requests_per_minute
    if charge.token_interval:
        account.tokens_at = max(account.tokens_at, now) + order.tokens * charge.token_interval
