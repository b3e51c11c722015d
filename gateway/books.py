"""Keeps the books of a running gateway: every decision and outcome into the ledger, spend into the metrics."""

from __future__ import annotations

import asyncio
import time
from asyncio import Future
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

from experts.base import Outcome, Request, SetupError
from gateway.auth import Keys
from gateway.metrics import MANY, Metrics
from gateway.money import Money
from gateway.promise import Promise, settle
from gateway.prompts import Keeper
from policies.base import Decision, Policy, State
from policies.batches import StoreUnavailable
from policies.groups import Group
from policies.ledger import Ledger
from policies.lines import OPENED, Alike
from policies.pressure import steered
from policies.rows import COLUMNS, SETTLED, Line, SettlementRow, brought, decided, hash_of

if TYPE_CHECKING:
    from gateway.life import Life
    from gateway.school import Usual
    from gateway.tally import Tally

KNOWN = 1024
"""How many kinds of decisions that are foreseen are remembered."""
LEFT = 499
"""The status of a client that left, after nginx's."""
REASON, STATUS = (COLUMNS["outcomes"].index(name) + 1 for name in ("reason", "status"))


class Books:
    """The one writer of the ledger in this process."""

    def __init__(
        self,
        ledger: Ledger,
        money: Money | None = None,
        clock: Callable[[], float] = time.time,
        policy_hash: str = "",
    ) -> None:
        """Without `money` nothing is limited; `clock` tells Unix seconds; `policy_hash` stands in each decision."""
        self.ledger, self.metrics, self.clock, self.policy_hash = ledger, Metrics(), clock, policy_hash
        self.money = money or Money(None)
        self.guard(Keys({}))
        self._alike: dict[Hashable, tuple[Usual, Alike]] = {}
        """By what is usual, key, model and policy; what is usual is kept, so that no other takes its place."""
        self.prompts: Keeper | None = None
        """Keeps the messages of keys that opted in."""

    def guard(self, keys: Keys) -> None:
        """Whom a key may ask, and whose money it spends, is as these say."""
        self.keys, self.permit = keys, keys.permitted
        self.money.know(keys)

    async def start(self) -> None:
        """Raises SetupError if there are budgets or rates and their store does not answer."""
        try:
            await self.money.start()
        except StoreUnavailable as error:
            mend = "start the store, or take the budgets and rates out of the configuration"
            raise SetupError(f"accounts: {error}; {mend}") from error

    def allowance(self, key: str, request: Request) -> int | None:
        """What a key's request may still spend, in nano-dollars; `None` is no limit."""
        return self.money.allowance(key, request)

    def steered(self, key: str, request: Request, policy: Policy) -> Policy:
        """The policy at the price of quality that the budgets set."""
        steering = self.money.steering
        return policy if steering is None else steered(policy, steering.factor(self.money.scopes(key, request)))

    def decided(self, life: Life, state: State, decision: Decision) -> Group:
        """Queues a decision's row; it becomes durable while the experts work. Raises LedgerUnavailable at once
        if the ledger cannot be written, so that nothing is asked that would not be recorded."""
        now = self.clock()
        line = decided(state, decision, life.step, now, life.key, life.policy_name)
        group = self.ledger.put((*line, self.policy_hash), now, None)
        if group.error is not None:
            raise group.error
        if self.prompts is not None and life.step == 0:
            self.prompts.keep(life.key, life.request)
        return group

    def foreseen(self, life: Life, usual: Usual, allowance: int | None, draw: float) -> Group:
        """The same for the first decision where it was known beforehand, and most of its row with it."""
        clock, ledger = self.clock, self.ledger  # as a method it would be looked for in the class each time
        request, now = life.request, clock()
        like = id(usual), life.key, request.model, life.policy_name
        known = self._alike.get(like)
        alike = self._like(like, life, usual) if known is None else known[1]
        told = life.told or hash_of(request.prompt)
        group = ledger.group
        if group is None:
            group = ledger.begin(now)
            if group.error is not None:
                raise group.error
        group.lines.append(("decision", request.id, 0, now, alike.who, draw, allowance, alike.why, told, alike.rest))
        if now > group.last:  # as `covers`
            group.last = now
        elif now < group.first:
            group.first = now
        if self.prompts is not None:
            self.prompts.keep(life.key, request)
        return group

    def _like(self, like: tuple[Hashable, ...], life: Life, usual: Usual) -> Alike:
        """What is the same in all rows of decisions like this one."""
        if len(self._alike) >= KNOWN:
            self._alike.clear()
        assert usual.first is not None
        line = decided(State(life.request, usual.estimates), usual.first.ask, 0, 0.0, life.key, life.policy_name)
        alike = Alike.of((*line, self.policy_hash))
        self._alike[like] = usual, alike
        return alike

    def settled(self, tally: Tally, outcome: Outcome, kind: str) -> Group:
        """Queues the rows of an outcome and, if that is known at once, of its settlement; their group ends when they
        are durable."""
        clock, ledger = self.clock, self.ledger
        life, promise, cost, now, expert = tally.life, tally.promise, outcome.cost, clock(), outcome.expert
        usage = outcome.usage
        if (
            kind != "answered"
            or promise is None
            or (lease := promise.lease) is None
            or cost is None
            or not 0 <= cost <= (amount := promise.amount)
            or usage is None
            or (fare := promise.fare).card is not tally.expert.card
        ):
            row, line = self._other(tally, outcome, kind, now)
            gathered = self.metrics.gathered[expert, kind]
        else:  # as it should be, and almost always is: what `_other` finds, written as one list
            promise.lease, timing = None, outcome.timing
            row = line = (
                OPENED, life.request.id, life.step, expert, now, "answer", None,
                outcome.finish_reason,  # type: ignore[union-attr] # only answers are of that kind
                usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens,
                usage.estimated, cost, timing.first, timing.total, None,
                usage.written_tokens, usage.audio_tokens, usage.image_tokens, usage.spoken_tokens,
                fare.closed, amount, cost, lease.end(amount, cost),
            )  # fmt: skip
            if (known := fare.gathered) is None:
                known = fare.gathered = self.metrics.gathered[expert, kind]
            gathered = known
        gathered.append(row)
        if len(gathered) >= MANY:
            self.metrics.fold()
        group = ledger.group
        if group is None:
            group = ledger.begin(now)
        group.lines.append(line)
        if now > group.last:  # as `covers`
            group.last = now
        elif now < group.first:
            group.first = now
        if cost:
            group.cost += cost
        return group

    def _other(self, tally: Tally, outcome: Outcome, kind: str, now: float) -> tuple[Line, Line]:
        """The row of an outcome; and the line of it and its settlement, of the outcome alone if there is none, or not
        yet."""
        life, promise = tally.life, tally.promise
        row = brought(life.request.id, life.step, outcome, now, tally.expert.card.price.version)
        if kind == "client_left":
            row = (*row[:REASON], kind, *row[REASON + 1 : STATUS], LEFT, *row[STATUS + 1 :])
        if promise is None or (moved := settle(tally, promise, outcome)) is None:
            return row, row
        if isinstance(moved, list):
            return row, (SETTLED, row, *promise.booking(moved), moved)
        moved.add_done_callback(partial(self._booked, promise, row))
        return row, row

    def _booked(self, promise: Promise, row: Line, future: Future[Any]) -> None:
        """Queues the row of a settlement that the store has made, or could not."""
        moved = promise.moved(future)
        _, decision, step, expert, *_ = row
        about = *promise.booking(moved), promise.fare.version, moved or ()
        self.ledger.write(SettlementRow(decision, step, expert, self.clock(), *about))

    async def explain(self, decision: str, key: str) -> dict[str, Any] | None:
        """The story of a decision, if it is this key's."""
        story = await asyncio.to_thread(self.ledger.explain, decision)
        mine = story is not None and all(row["key"] == key for row in story["decisions"])
        return story if mine else None

    async def close(self) -> None:
        """Settles and writes what is queued."""
        await self.money.close()
        if self.prompts is not None:
            await self.prompts.close()
        await self.ledger.close()
