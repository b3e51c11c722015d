"""What asking an expert may cost: reserved on every budget and rate before it is asked, settled once after.

The reservation is the most that the call can cost, and the request that goes out is capped by it. Where nothing
limits a call there is nothing to wait for.
"""

from __future__ import annotations

import os
import zlib
from asyncio import Future
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from msgspec.structs import replace

from experts.base import ExpertError, Failure, Outcome, Request
from experts.card import Card, Price, Usage
from experts.catalog import TEXT, Demand
from gateway.errors import APIError
from gateway.steering import Steering
from gateway.terms import Accounts as Terms
from policies.accounts import Accounts, Alarm
from policies.book import Hold, Moves, Refused
from policies.limits import Scopes
from policies.rows import SettlementRow

if TYPE_CHECKING:
    from gateway.life import Tally

logger = getLogger("lyceum")

UNBILLED = frozenset({"rejected", "declined", "budget", "rate", "budget_store_unavailable"})
"""Reasons of failures that cost nothing."""

GIVEN = ("max_completion_tokens", "max_tokens")
"""How clients say how long an answer may be; a request that says nothing is told the latter."""
NATIVE = {"responses": "max_output_tokens", "messages": "max_tokens"}
LONG = 16 * 1024
KNOWN = 1024
"""How many callers' scopes are remembered."""
TEMPLATE_TOKENS = 64
"""What a chat template adds to what the client sent, at most; one for each message is in the JSON around it."""


class OverBudget(ExpertError):
    """A budget has no room for what the call may cost."""

    reason = "budget"


class TooFast(ExpertError):
    """A rate has no room for the call now."""

    reason = "rate"


class Bound(NamedTuple):
    """The most that a call can cost (nano-dollars), the tokens that it is known to use, and the caps that see to it."""

    amount: int
    tokens: int
    cap: int
    seconds: float | None
    told: int | None
    """The longest answer that the client wants, in tokens."""


class Money:
    """The accounts of a gateway; `who` tells a key's scopes."""

    def __init__(self, accounts: Accounts | None, terms: Terms | None = None) -> None:
        self.accounts, self.terms = accounts, terms or Terms()
        steers = accounts is not None and any(limit.steer for limit in accounts.limits)
        self.steering = Steering(accounts) if accounts is not None and steers else None
        self.who: Callable[[str], Scopes] = lambda key: {"key": key}
        kinds = frozenset[str]() if accounts is None else accounts.kinds
        self._by_user, self._by_expert = "user" in kinds, "expert" in kinds
        self._versions: dict[int, str] = {}
        self._scopes: dict[tuple[str, str, str], tuple[Scopes, Scopes]] = {}
        """Of callers seen lately: their key's scopes, and with the expert and the user; the same each time."""

    def scopes(self, key: str, request: Request, expert: str = "") -> Scopes:
        """Who asks whom: the user of the key, or if it is nobody's, the one that the body names."""
        mine, user = self.who(key), ""
        if self._by_user and "user" not in mine:
            told = request.options.get("safety_identifier") or request.options.get("user")
            user = told if isinstance(told, str) else ""
        caller = (key, user, expert)
        known = self._scopes.get(caller)
        if known is None or known[0] is not mine:
            if len(self._scopes) >= KNOWN:
                self._scopes.clear()
            more = {kind: value for kind, value in (("expert", expert), ("user", user)) if value}
            known = self._scopes[caller] = mine, {**more, **mine}
        return known[1]

    def allowance(self, key: str, request: Request) -> int | None:
        """Nano-dollars that the hard budgets leave, as last seen; `None` is no limit. Reserving decides."""
        return None if self.accounts is None else self.accounts.allowance(self.scopes(key, request))

    def promise(
        self, key: str, expert: str, card: Card, request: Request, asked: Demand | None = None
    ) -> Promise | None:
        """What is to be reserved before an expert is asked; `None` if nothing limits the call."""
        if self.accounts is None:
            return None
        scopes = self.scopes(key, request, expert if self._by_expert else "")
        if not self.accounts.limited(scopes):
            return None
        return Promise(self.accounts, scopes, bound(card, request, self.terms, asked), self.version(card.price))

    def version(self, price: Price) -> str:
        """A short name for a price: another price has another."""
        known = self._versions.get(id(price))
        return known or self._versions.setdefault(id(price), f"{zlib.crc32(repr(price).encode()):08x}")

    async def start(self) -> None:
        """Raises StoreUnavailable if the accounts cannot be written."""
        if self.accounts is not None:
            await self.accounts.start()

    async def close(self) -> None:
        """Ends when all is settled."""
        if self.accounts is not None:
            await self.accounts.close()


class Promise:
    """One call's way through the accounts: capped, reserved, settled once."""

    __slots__ = ("accounts", "booked", "bound", "hold", "known", "pending", "price", "scopes")

    def __init__(self, accounts: Accounts, scopes: Scopes, bound: Bound, price: str) -> None:
        self.accounts, self.scopes, self.bound, self.price = accounts, scopes, bound, price
        self.booked, self.known = 0, True
        self.hold: Hold | None = None
        self.pending: Future[Hold | Refused] | None = None

    def capped(self, request: Request, now: float) -> Request:
        """The request with the caps that the reservation relies on; what the client said stays. `now`: monotonic."""
        changes: dict[str, Any] = {}
        if self.bound.told is None and "passed" not in request.options:
            changes["options"] = {**request.options, "max_tokens": self.bound.cap}
            key = NATIVE.get(request.dialect)
            if request.native is not None and key and request.native.get(key) is None:
                changes["native"] = {**request.native, key: self.bound.cap}
        if self.bound.seconds is not None:
            until = now + self.bound.seconds
            changes["deadline"] = until if request.deadline is None else min(until, request.deadline)
        return replace(request, **changes) if changes else request

    def reserve(self, name: str) -> Future[Hold | Refused] | None:
        """Asks the accounts for a hold; the future ends when they have answered, `None`: they have already."""
        bound = self.bound
        granted = self.accounts.request(name, self.scopes, bound.amount, bound.tokens, price=self.price)
        if not isinstance(granted, Future):
            self.hold = granted
            return None
        self.pending = granted
        return granted

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
        self.hold = answer

    def row(self, decision: str, step: int, expert: str, time: float, future: Future[Any]) -> SettlementRow:
        """What the ledger is told once the store has answered."""
        state, moves = "settled" if self.known else "abandoned", Moves()
        if future.cancelled() or future.exception() is not None:
            state = "late"
        else:
            moves = future.result()[0] or ()
        amounts = self.accounts.amounts
        budgets = [
            (each.bucket, each.start, amounts.get(each.bucket.partition(" ")[0]), each.before, each.after)
            for each in moves
        ]
        return SettlementRow(decision, step, expert, time, state, self.bound.amount, self.booked, self.price, budgets)

    def end(self, cost: int | None, tokens: int | None, plausible: bool = True) -> Future[Any] | None:
        """Settles, once. What costs more than was reserved is believed only if it is `plausible`."""
        pending, self.pending = self.pending, None
        if pending is not None and not pending.cancel() and pending.exception() is None:
            answer = pending.result()
            self.hold, cost, tokens = (answer if isinstance(answer, Hold) else None), 0, 0  # nobody was asked
        hold, self.hold = self.hold, None
        if hold is None:
            return None
        if cost is not None and cost > hold.amount:
            logger.warning("a call cost %d nano-dollars, more than the %d that were reserved", cost, hold.amount)
            cost = cost if plausible else hold.amount
        self.booked, self.known = hold.amount if cost is None else cost, cost is not None
        return self.accounts.end(hold, cost, tokens)


def bound(card: Card, request: Request, terms: Terms, asked: Demand | None = None) -> Bound:
    """The most that a call can cost: its bytes are at least as many as its tokens."""
    asked, told = asked or Demand.of(request), given(request)
    price, context = card.price, max(card.context, 1)
    size = sent(request) + TEMPLATE_TOKENS
    prompt = size if asked.modalities == TEXT and request.native is None else context
    cap = min(told or card.max_output or terms.answer_tokens, terms.answer_tokens if told is None else told, context)
    choices = max(int(request.options.get("n") or 1), 1)
    amount = price.most(min(prompt, context), cap * choices)
    if not price.cpu_hour:
        return Bound(amount, asked.tokens + (told or 0) * choices, cap, None, told)
    cpu = price.cpu(terms.call_seconds * (os.cpu_count() or 1))
    return Bound(amount + cpu, asked.tokens + (told or 0) * choices, cap, terms.call_seconds, told)


def sent(request: Request) -> int:
    """The bytes of what a model is to read; of a long body all, rather than to write it again for its length."""
    body, tools = request.body, request.options.get("tools")
    same = body is not None and body.messages is request.messages and body.options.get("tools") is tools
    if body is not None and same and body.size > LONG:
        return body.size
    return len(orjson.dumps((request.messages, tools), default=str))


def given(request: Request) -> int | None:
    """The longest answer that the client wants, in tokens."""
    least = None
    for key in GIVEN:
        value = request.options.get(key)
        if value is not None:
            least = _less(least, value)
    if request.native is not None and request.dialect in NATIVE:
        least = _less(least, request.native.get(NATIVE[request.dialect]))
    return least


def _less(least: int | None, value: Any) -> int | None:
    if not isinstance(value, int) or value <= 0:
        return least
    return value if least is None else min(least, value)


def unavailable() -> APIError:
    """A budget cannot be looked at: nothing is asked, and it is nobody's fault but ours."""
    return APIError("budget_store_unavailable")


def alarmed(alarm: Alarm) -> None:
    """Says in the log that a budget's spend has reached a share of it."""
    logger.warning("budget %s (%s) has reached %g %%", alarm.name, alarm.bucket, alarm.share * 100)


def settle(tally: Tally, promise: Promise, outcome: Outcome) -> Future[Any] | None:
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
    said = (usage.completion_tokens or 0) - (usage.reasoning_tokens or 0)
    most = sum(map(len, tally.said)) + TEMPLATE_TOKENS  # letters: never more than bytes, and quicker to count
    if tally.plain and said > most:
        most = sum(len(text.encode("utf-8", "replace")) for text in tally.said) + TEMPLATE_TOKENS
    return (tally.plain and said > most) or (usage.prompt_tokens or 0) > tally.expert.card.context
