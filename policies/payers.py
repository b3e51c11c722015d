"""Who pays for a call: the accounts that it is booked on, as this process sees them, found once for each caller.

What the store said of an account last is not all that is known of it: calls that have ended since are not durable yet,
and slices of this process hold money that nobody was granted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from policies.book import Account, Key, Refused, over
from policies.limits import Charge, Charges, Limit, Rate, Scopes, charges
from policies.lines import written
from policies.rows import writable

if TYPE_CHECKING:
    from policies.lease import Slice

FRESH_SECONDS, ASKING_SECONDS = 1.0, 5.0
"""For so long what the store has said of a budget is enough to refuse a call; and while it is asked again. Granting one
is never up to memory."""
HEARD_SECONDS = 3600.0
"""For so long an account is remembered whose period has ended: calls of then may still end."""
KNOWN = 1024
"""How many different callers are remembered."""


class Seen:
    """An account as this process sees it. Money in nano-dollars."""

    __slots__ = ("bucket", "head", "held", "limit", "own", "room", "spent", "start", "told")

    def __init__(self, bucket: str, start: int) -> None:
        self.bucket, self.start = bucket, start
        self.of(None)
        self.spent = self.held = 0
        """As the store said last."""
        self.own = 0
        """What this process has spent since, on its way to the store."""
        self.room = 0
        """What slices of this process have free, less all that is spent or held; beside `limit`, so at most 0."""
        self.told = float("-inf")
        """When the store said so."""

    def of(self, limit: int | None) -> None:
        """`limit`: of its budget; `None` if it is a rate's."""
        self.limit = limit
        self.head = written(writable((self.bucket, self.start, limit)))
        """How the ledger tells of it, before what was spent."""

    def saw(self, account: Account, now: float) -> None:
        """What the store says now."""
        self.told = now
        self.room += self.spent + self.held - account.spent - account.held
        self.spent, self.held = account.spent, account.held


class Payer:
    """The accounts of a caller's calls, for as long as the same periods last."""

    __slots__ = (
        "accounts",
        "charges",
        "hard",
        "height",
        "keys",
        "looked",
        "rated",
        "since",
        "slice",
        "sliced",
        "until",
        "wall",
    )

    def __init__(self, charges: Charges, accounts: tuple[Seen, ...]) -> None:
        self.charges, self.accounts = charges, accounts
        self.keys = tuple(charge.account for charge in charges)
        self.since: float = max((charge.start for charge in charges), default=0)
        self.until: float = min((charge.end for charge in charges if charge.end is not None), default=float("inf"))
        both = list(zip(charges, accounts, strict=True))
        self.hard = tuple(seen for charge, seen in both if charge.limit is not None and charge.limit.hard)
        """The budgets that are never exceeded."""
        alone = len(self.hard) == 1
        self.wall = self.hard[0] if alone else None
        """The only one of them; its amount."""
        self.height = self.hard[0].limit or 0 if alone else 0
        self.rated = any(charge.rate is not None for charge in charges)
        """Whether there are rates among them."""
        self.sliced = bool(charges) and not self.rated
        """Whether there are budgets and nothing else, so that calls are granted out of slices."""
        self.looked = 0.0
        """When it was looked for last."""
        self.slice: Slice | None = None
        """Out of which calls were granted last."""

    def left(self) -> int | None:
        """Nano-dollars that hard budgets leave, as far as is known; `None` if there are none."""
        least = None
        for account in self.hard:
            left = account.room + account.limit  # type: ignore[operator] # a budget has one
            if least is None or left < least:
                least = left
        return least if least is None or least > 0 else 0

    def short(self, amount: int, now: float, asking: bool) -> Refused | None:
        """The refusal of a call by a budget that has no room for it, as the store has said a moment ago; `None` if all
        have, or nobody knows. What comes back of calls that have ended may be enough: then the store is to say so.
        `asking`: it is being asked already, so that one more question would tell nothing sooner."""
        coming = 0 if self.slice is None else self.slice.coming()
        longest = ASKING_SECONDS if asking else FRESH_SECONDS
        for charge, seen in zip(self.charges, self.accounts, strict=True):
            if now - seen.told <= longest:
                refused = over(charge, amount, charge.amount + seen.room + coming, now)
                if refused is not None:
                    return refused
        return None


class Payers:
    """All accounts that were seen, and who pays from which."""

    def __init__(self, limits: Sequence[Limit], rates: Sequence[Rate]) -> None:
        self._limits, self._rates = limits, rates
        self._known: dict[tuple[tuple[str, str], ...], Payer] = {}
        self._seen: dict[Key, Seen] = {}

    def of(self, scopes: Scopes, now: float) -> Payer:
        """Who pays for a call at a moment."""
        who = tuple(scopes.items())
        found = self._known.get(who)
        if found is None or not found.since <= now < found.until:
            if len(self._known) >= KNOWN:
                self._known.clear()
            booked = charges(self._limits, self._rates, scopes, now)
            found = self._known[who] = Payer(booked, tuple(map(self._account, booked)))
        found.looked = now
        return found

    def saw(self, accounts: Iterable[Account], now: float) -> None:
        """What the store says of accounts now."""
        for account in accounts:
            key = account.bucket, account.start
            seen = self._seen.get(key)
            if seen is None:
                seen = self._seen[key] = Seen(*key)
            seen.saw(account, now)

    def starts(self, now: float) -> frozenset[int]:
        """When the periods of budgets began that last at a moment; 0 for those that never end."""
        return frozenset(limit.period.start(now) for limit in self._limits)

    def forget(self, starts: Collection[int], now: float) -> None:
        """Accounts of other periods, and rates, are nobody's any more once nothing was heard of them for a while."""
        since = now - HEARD_SECONDS
        for key, seen in list(self._seen.items()):
            if seen.told < since and (key[1] not in starts or seen.limit is None):
                del self._seen[key]

    def _account(self, charge: Charge) -> Seen:
        seen = self._seen.get(charge.account)
        if seen is None:
            seen = self._seen[charge.account] = Seen(*charge.account)
        if charge.limit is not None and seen.limit != charge.amount:
            seen.of(charge.amount)
        return seen
