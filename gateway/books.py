"""Keeps the books of a running gateway: every decision and outcome into the ledger, spend into the metrics."""

from __future__ import annotations

import asyncio
import time
from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from experts.base import Outcome, Request, SetupError
from experts.catalog import Catalog
from gateway.metrics import Metrics
from gateway.money import Money, Promise, settle
from gateway.prompts import Keeper
from policies.base import Decision, Policy, State
from policies.batches import StoreUnavailable
from policies.groups import Group
from policies.ledger import Ledger
from policies.pressure import steered
from policies.rows import DecisionRow, OutcomeRow

if TYPE_CHECKING:
    from gateway.life import Life, Tally

LEFT = 499
"""The status of a client that left, after nginx's."""


class Books:
    """The one writer of the ledger in this process."""

    def __init__(self, ledger: Ledger, money: Money | None = None, clock: Callable[[], float] = time.time) -> None:
        """Without `money` nothing is limited; `clock` tells Unix seconds."""
        self.ledger, self.metrics, self.clock = ledger, Metrics(), clock
        self.money = money or Money(None)
        self.permit: Callable[[str, str, Catalog], Catalog] = lambda key, model, catalog: catalog
        """The experts of a catalog that a key may ask for a model."""
        self.prompts: Keeper | None = None
        """Keeps the messages of keys that opted in."""

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
        row = DecisionRow.of(state, decision, life.step, self.clock(), life.key, life.policy_name)
        group = self.ledger.write(row)
        if group.error is not None:
            raise group.error
        if self.prompts is not None and life.step == 0:
            self.prompts.keep(life.key, life.request)
        return group

    def settled(self, tally: Tally, outcome: Outcome, kind: str) -> Group:
        """Queues an outcome's row; its group ends when it is durable."""
        life, step, promise, now = tally.life, tally.life.step, tally.promise, self.clock()
        name, price = life.request.id, tally.expert.card.price.version
        if kind == "client_left":
            row = replace(OutcomeRow.of(name, step, outcome, now, LEFT, price=price), reason=kind)
        else:
            row = OutcomeRow.of(name, step, outcome, now, price=price)
        if promise is not None and (moved := settle(tally, promise, outcome)) is not None:
            if isinstance(moved, list):
                self.ledger.write(promise.row(name, step, outcome.expert, now, moved))
            else:
                moved.add_done_callback(partial(self._booked, promise, name, step, outcome.expert))
        told = row.total, row.first, row.cost, row.prompt_tokens, row.completion_tokens
        self.metrics.settled(outcome.expert, kind, told)
        return self.ledger.write(row)

    def _booked(self, promise: Promise, decision: str, step: int, expert: str, future: Future[Any]) -> None:
        """Queues the row of a settlement that the store has made, or could not."""
        self.ledger.write(promise.row(decision, step, expert, self.clock(), promise.moved(future)))

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
