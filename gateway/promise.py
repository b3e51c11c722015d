"""One call's way through the accounts: capped, reserved before an expert is asked, settled once at what it cost."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from logging import getLogger
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from experts.base import Chunk, ExpertError, Failure, Outcome, Request
from experts.card import Usage
from experts.openai_answer import read
from experts.slots import slotted
from gateway.fares import NATIVE, TEMPLATE_TOKENS, Fare, choices
from policies.accounts import Accounts
from policies.book import Hold, Moves, Refused
from policies.lease import Moved, Part, Slice
from policies.payers import Payer
from policies.rows import Budgets

if TYPE_CHECKING:
    from gateway.tally import Tally

logger = getLogger("lyceum")

UNBILLED = frozenset({"rejected", "declined", "budget", "rate", "budget_store_unavailable"})
"""Reasons of failures that cost nothing."""


class OverBudget(ExpertError):
    """A budget has no room for what the call may cost."""

    reason = "budget"


class TooFast(ExpertError):
    """A rate has no room for the call now."""

    reason = "rate"


@slotted
class Promise(Struct, eq=False):
    """One call's way through the accounts: capped, reserved, settled once."""

    accounts: Accounts
    payer: Payer
    fare: Fare
    amount: int
    """Nano-dollars that the call can cost at most."""
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
        life = tally.life
        name, tokens = f"{life.request.id}.{life.step}.{tally.expert.name}", life.demand.tokens
        if self.told:
            tokens += self.told * choices(life.request)
        granted = self.accounts.grant(self.payer, name, self.amount, tokens, self.fare.version)
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

    def booking(self, moved: Sequence[Any] | None) -> tuple[str, int, int]:
        """What the ledger is told of a settlement: its state, what was held and what was booked; `moved` is `None` if
        the store of budgets could not be told yet."""
        state = "late" if moved is None else "abandoned" if self.booked is None else "settled"
        return state, self.amount, self.amount if self.booked is None else self.booked

    def moved(self, future: Future[Any]) -> Budgets | None:
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
        tally.note(tally.last if answer is None else Chunk(read(answer).message, answer.finish_reason, answer.usage))
    said = (usage.completion_tokens or 0) - (usage.reasoning_tokens or 0)
    most = sum(map(len, tally.said)) + TEMPLATE_TOKENS  # letters: never more than bytes, and quicker to count
    if tally.plain and said > most:
        most = sum(len(text.encode("utf-8", "replace")) for text in tally.said) + TEMPLATE_TOKENS
    return (tally.plain and said > most) or (usage.prompt_tokens or 0) > tally.expert.card.context
