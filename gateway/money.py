"""What asking an expert may cost: reserved on every budget and rate before it is asked, settled once after.

The reservation is the most that the call can cost, and the request that goes out is capped by it. Where nothing
limits a call there is nothing to wait for.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Callable, Mapping
from logging import getLogger
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from experts.base import Chunk, Expert, ExpertError, Failure, Outcome, Request
from experts.card import Usage
from gateway.errors import APIError
from gateway.fares import NATIVE, TEMPLATE_TOKENS, Fare
from gateway.steering import Steering
from gateway.terms import Accounts as Terms
from policies.accounts import Accounts, Alarm
from policies.book import Hold, Moves, Refused
from policies.lease import Moved, Part, Slice
from policies.limits import Scopes
from policies.payers import Payer

if TYPE_CHECKING:
    from gateway.life import Life
    from gateway.tally import Tally

logger = getLogger("lyceum")

UNBILLED = frozenset({"rejected", "declined", "budget", "rate", "budget_store_unavailable"})
"""Reasons of failures that cost nothing."""

KNOWN = 1024
"""How many callers are remembered."""


class OverBudget(ExpertError):
    """A budget has no room for what the call may cost."""

    reason = "budget"


class TooFast(ExpertError):
    """A rate has no room for the call now."""

    reason = "rate"


class Money:
    """The accounts of a gateway; `who` tells a key's scopes."""

    def __init__(self, accounts: Accounts | None, terms: Terms | None = None) -> None:
        self.accounts, self.terms = accounts, terms or Terms()
        steers = accounts is not None and any(limit.steer for limit in accounts.limits)
        self.steering = Steering(accounts) if accounts is not None and steers else None
        self.clock = time.time if accounts is None else accounts.clock
        """Unix seconds, as budgets see them."""
        self.who: Callable[[str], Scopes] = lambda key: {"key": key}
        self.met: Mapping[str, Scopes] = {}
        """What `who` tells of keys that were seen lately, as far as that is known: looked at before it is asked."""
        kinds = frozenset[str]() if accounts is None else accounts.kinds
        self._by_user, self._by_expert = "user" in kinds, "expert" in kinds
        self._fares: dict[str, Fare] = {}
        """By expert."""
        self._payers: dict[tuple[str, str, str], tuple[Scopes, Payer]] = {}
        """By key, user and expert, of callers seen lately: the key's scopes, and who pays."""
        self._alone = not (self._by_user or self._by_expert)
        self._by_key: dict[str, tuple[Scopes, Payer]] = {}
        """The same where nothing but the key matters."""

    def scopes(self, key: str, request: Request, expert: str = "") -> Scopes:
        """Who asks whom: the user of the key, or if it is nobody's, the one that the body names."""
        mine, user = self.who(key), self._user(self.who(key), request)
        more = {kind: value for kind, value in (("expert", expert), ("user", user)) if value}
        return {**more, **mine}

    def _user(self, mine: Scopes, request: Request) -> str:
        told = request.options.get("safety_identifier") or request.options.get("user") if "user" not in mine else ""
        return told if isinstance(told, str) else ""

    def allowance(self, key: str, request: Request) -> int | None:
        """Nano-dollars that the hard budgets leave, as last seen; `None` is no limit. Reserving decides."""
        accounts = self.accounts
        return None if accounts is None else self.payer(accounts, key, request).left()

    def left(self, life: Life) -> int | None:
        """The same for a usual request, which is told who pays for it if that hangs on its key alone."""
        key = life.key
        known = self._by_key.get(key)
        if known is not None:
            scopes, payer = known
            if scopes is self.met.get(key):
                payer.looked = now = self.clock()
                if payer.since <= now < payer.until:
                    life.payer, wall = payer, payer.wall
                    if wall is None:
                        return payer.left()
                    left = wall.room + payer.height
                    return left if left > 0 else 0
        return self.allowance(key, life.request)

    def payer(self, accounts: Accounts, key: str, request: Request, expert: str = "") -> Payer:
        """Who pays for a call, found once for as long as the same periods last."""
        mine = self.who(key)
        caller = key, self._user(mine, request) if self._by_user else "", expert if self._by_expert else ""
        known, now = self._payers.get(caller), accounts.clock()
        if known is not None:
            scopes, payer = known
            if scopes is mine and payer.since <= now < payer.until:
                payer.looked = now
                return payer
        if len(self._payers) >= KNOWN:
            self._payers.clear()
            self._by_key.clear()
        payer = accounts.payer(self.scopes(key, request, caller[2]))
        self._payers[caller] = mine, payer
        if self._alone:
            self._by_key[key] = mine, payer
        return payer

    def promise(self, life: Life, expert: Expert, request: Request) -> Promise | None:
        """What is to be reserved before an expert is asked; `None` if nothing limits the call. Who pays was found a
        moment ago, when the call was decided, unless the expert says who."""
        accounts, payer, name = self.accounts, life.payer, expert.name
        if accounts is None:
            return None
        if payer is None:
            known = self._by_key.get(life.key)
            payer = known[1] if known is not None else self.payer(accounts, life.key, request, name)
        if not payer.charges:
            return None
        fare, options, body = self._fares.get(name), request.options, request.body
        if fare is None or fare.card is not expert.card:
            fare = self._fares[name] = Fare.of(expert.card, self.terms)
        if (
            life.payer is None
            or body is None
            or body.options is not options
            or "max_completion_tokens" in options
            or "n" in options
        ):
            return Promise(accounts, payer, fare, *fare.bound(request, life.demand))
        return Promise(accounts, payer, fare, *fare.usual(options, body.size, life.demand))

    async def start(self) -> None:
        """Raises StoreUnavailable if the accounts cannot be written."""
        if self.accounts is not None:
            await self.accounts.start()

    async def close(self) -> None:
        """Ends when all is settled."""
        if self.accounts is not None:
            await self.accounts.close()


class Promise(Struct, eq=False):
    """One call's way through the accounts: capped, reserved, settled once."""

    accounts: Accounts
    payer: Payer
    fare: Fare
    amount: int
    """Nano-dollars that the call can cost at most."""
    tokens: int
    """That it is known to use."""
    cap: int
    """Tokens of its answer, at most; `told`: as the client wants it."""
    told: int | None
    lease: Slice | None = None
    """Out of which it was granted, until it has ended; `hold`: or by which reservation of its own."""
    hold: Hold | None = None
    pending: Future[Hold | Refused] | None = None
    booked: int | None = 0
    """`None`: nobody knows what it cost, and all that was reserved is booked."""

    def capped(self, request: Request, now: float) -> Request:
        """The request with the caps that the reservation relies on; what the client said stays. `now`: monotonic."""
        if self.told is None and "passed" not in request.options:
            request = self.shortened(request)
        if self.fare.seconds is not None:
            until = now + self.fare.seconds
            request = replace(request, deadline=until if request.deadline is None else min(until, request.deadline))
        return request

    def shortened(self, request: Request) -> Request:
        """The request with the length that an answer may have."""
        native, key = request.native, NATIVE.get(request.dialect)
        if native is not None and key and native.get(key) is None:
            native = {**native, key: self.cap}
        return replace(request, options={**request.options, "max_tokens": self.cap}, native=native)

    def reserve(self, tally: Tally) -> Future[Hold | Refused] | None:
        """Asks the accounts for a hold; the future ends when they have answered, `None`: they have already."""
        name = f"{tally.life.request.id}.{tally.life.step}.{tally.expert.name}"
        granted = self.accounts.grant(self.payer, name, self.amount, self.tokens, self.fare.version)
        if isinstance(granted, Hold):
            self.take(granted)
            return None
        self.pending = granted
        return granted

    def take(self, hold: Hold) -> None:
        """What it has been granted."""
        if isinstance(hold, Part):
            self.lease = hold.lease
        else:
            self.hold = hold

    def granted(self) -> None:
        """Takes what the accounts answered. Raises OverBudget, TooFast, StoreUnavailable."""
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        answer = pending.result()
        if isinstance(answer, Refused):
            kind = OverBudget if answer.kind == "budget" else TooFast
            message = f"the {answer.kind} limit {answer.name} has no room for this call"
            raise kind(message, cost=0, limit=answer.name, left=answer.left, retry_after=answer.retry_after)
        self.take(answer)

    def booking(self, moved: Moved | None) -> tuple[str, int, int]:
        """What the ledger is told of a settlement: its state, what was held and what was booked; `moved` is `None` if
        the store of budgets could not be told yet."""
        state = "late" if moved is None else "abandoned" if self.booked is None else "settled"
        return state, self.amount, self.amount if self.booked is None else self.booked

    def moved(self, future: Future[Any]) -> Moved | None:
        """How a reservation of its own has moved the accounts; `None` if the store could not be told yet."""
        if future.cancelled() or future.exception() is not None:
            return None
        moves: Moves = future.result()[0] or ()
        limits = {account.bucket: account.limit for account in self.payer.accounts}
        return [(each.bucket, each.start, limits.get(each.bucket), each.before, each.after) for each in moves]

    def end(self, cost: int | None, tokens: int | None, plausible: bool = True) -> Moved | Future[Any] | None:
        """Settles, once. What costs more than was reserved is believed only if it is `plausible`."""
        if self.pending is not None:
            pending, self.pending = self.pending, None
            if not pending.cancel() and pending.exception() is None:
                answer, cost, tokens = pending.result(), 0, 0  # nobody was asked
                if isinstance(answer, Hold):
                    self.take(answer)
        lease, hold, self.lease, self.hold = self.lease, self.hold, None, None
        if lease is not None:
            hold = Part("", self.amount, lease.id, lease)
        if hold is None:
            return None
        if cost is not None and cost > self.amount:
            logger.warning("a call cost %d nano-dollars, more than the %d that were reserved", cost, self.amount)
            cost = cost if plausible else self.amount
        self.booked = cost
        return self.accounts.end(hold, cost, tokens)


def unavailable() -> APIError:
    """A budget cannot be looked at: nothing is asked, and it is nobody's fault but ours."""
    return APIError("budget_store_unavailable")


def alarmed(alarm: Alarm) -> None:
    """Says in the log that a budget's spend has reached a share of it."""
    logger.warning("budget %s (%s) has reached %g %%", alarm.name, alarm.bucket, alarm.share * 100)


def settle(tally: Tally, promise: Promise, outcome: Outcome) -> Moved | Future[Any] | None:
    """Settles a call's reservation at what the call cost. Who refused a request has not billed it; else a cost that
    nobody knows is all that was reserved."""
    cost, usage = outcome.cost, outcome.usage
    if cost is None and isinstance(outcome, Failure) and outcome.reason in UNBILLED:
        cost = 0
    tokens = None
    if usage is not None and usage.prompt_tokens is not None and usage.completion_tokens is not None:
        tokens = usage.prompt_tokens + usage.completion_tokens
    return promise.end(cost, tokens, plausible=usage is None or not absurd(tally, usage))


def absurd(tally: Tally, usage: Usage) -> bool:
    """Whether a usage counts more tokens than there are bytes, or than the expert can read."""
    if not tally.chunks:
        answer = tally.life.answered  # a whole answer is looked at only now
        tally.note(tally.last if answer is None else Chunk(answer.message, answer.finish_reason, answer.usage))
    said = (usage.completion_tokens or 0) - (usage.reasoning_tokens or 0)
    most = sum(map(len, tally.said)) + TEMPLATE_TOKENS  # letters: never more than bytes, and quicker to count
    if tally.plain and said > most:
        most = sum(len(text.encode("utf-8", "replace")) for text in tally.said) + TEMPLATE_TOKENS
    return (tally.plain and said > most) or (usage.prompt_tokens or 0) > tally.expert.card.context
