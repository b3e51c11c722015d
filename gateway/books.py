"""Keeps the books of a running gateway: every decision and outcome into the ledger, spend into the metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from experts.base import Outcome
from gateway.metrics import Metrics
from gateway.purse import Purse
from policies.base import Ask, Decision, State
from policies.ledger import Ledger, LedgerUnavailable
from policies.rows import DecisionRow, OutcomeRow

if TYPE_CHECKING:
    from gateway.life import Life, Tally

LEFT = 499
"""The status of a client that left, after nginx's."""


class Books:
    """The one writer of the ledger in this process."""

    def __init__(self, ledger: Ledger, limit: int | None = None, clock: Callable[[], float] = time.time) -> None:
        """`limit` is in nano-dollars; `clock` tells Unix seconds."""
        self.ledger, self.metrics, self.clock = ledger, Metrics(), clock
        self.purse = Purse(limit, ledger.spend, clock)

    def allowance(self) -> int | None:
        """What may still be spent, in nano-dollars; `None` is no limit."""
        return self.purse.allowance()

    def decided(self, life: Life, state: State, decision: Decision) -> asyncio.Future[None]:
        """Queues a decision's row; it becomes durable while the experts work. Raises LedgerUnavailable at once
        if the ledger cannot be written, so that nothing is asked that would not be recorded."""
        if not self.ledger.available:
            raise LedgerUnavailable("the ledger cannot be written")
        if isinstance(decision, Ask):
            life.held |= self.purse.hold(decision, state.estimates)
        row = DecisionRow.of(state, decision, life.step, time=self.clock(), key=life.key, policy=life.policy_name)
        return self.ledger.write(row)

    def settled(self, tally: Tally, outcome: Outcome, kind: str) -> asyncio.Future[None]:
        """Queues an outcome's row; the future ends when it is durable."""
        status = LEFT if kind == "client_left" else None
        row = OutcomeRow.of(tally.life.request.id, tally.life.step, outcome, self.clock(), status)
        if status == LEFT:
            row = replace(row, reason=kind)
        self.purse.settle(tally.life.held.pop(outcome.expert, 0), outcome.cost)
        self.count(outcome, kind)
        return self.ledger.write(row)

    def count(self, outcome: Outcome, kind: str) -> None:
        """Adds an outcome to the metrics."""
        name, metrics = outcome.expert, self.metrics
        metrics.outcomes[name, kind] += 1
        metrics.seconds.observe(name, outcome.timing.total)
        if outcome.cost:
            metrics.spend[name,] += outcome.cost
        if outcome.timing.first is not None:
            metrics.first.observe(name, outcome.timing.first)
        usage = outcome.usage
        if usage is not None:
            metrics.tokens[name, "prompt"] += usage.prompt_tokens or 0
            metrics.tokens[name, "completion"] += usage.completion_tokens or 0

    async def explain(self, decision: str, key: str) -> dict[str, Any] | None:
        """The story of a decision, if it is this key's."""
        story = await asyncio.to_thread(self.ledger.explain, decision)
        mine = story is not None and all(row["key"] == key for row in story["decisions"])
        return story if mine else None

    async def close(self) -> None:
        """Writes what is queued."""
        await self.ledger.close()
