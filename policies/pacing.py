"""Keeps a stream of requests on an average budget: what was saved lowers the price of money, what is owed raises it."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from msgspec.structs import replace

from experts.card import nano
from policies.base import Ask, Decision, Policy, Refuse, State
from policies.budget import Budget
from policies.pick import cheapest, dialled

STEEPEST = 3.0
"""The price of quality stays within e to this power of the planned one."""


def paced(planned: float, credit: float, budget: float, horizon: float) -> float:
    """The price of quality now: `planned`, more if there is `credit`, less if there is a debt. A credit of `horizon`
    times the `budget` of one request raises it e-fold."""
    return planned * exp(max(-STEEPEST, min(STEEPEST, credit / (budget * horizon))))


@dataclass(frozen=True, slots=True)
class Paced:
    """`inner` at a price of quality that keeps the average cost of a request at `usd_per_request`.

    The state's allowance is the credit: what the requests so far, this one included, might have cost, less what they
    did. Nobody is asked of whose cost at its high end it does not hold `reserve` times as much; if nobody is left, the
    cheapest is asked all the same with `broke = "cheapest"`. `usd_per_quality` is the price that should keep to the
    budget, found on past prompts.
    """

    inner: Policy
    usd_per_request: float
    usd_per_quality: float
    horizon: float = 300.0
    reserve: float = 2.0
    broke: str = "refuse"

    def __post_init__(self) -> None:
        if min(self.usd_per_request, self.horizon, self.reserve) <= 0 or self.usd_per_quality < 0:
            raise ValueError("usd_per_request, horizon and reserve must be above 0, usd_per_quality at least 0")
        if self.broke not in ("refuse", "cheapest"):
            raise ValueError(f"broke is {self.broke!r}; known: refuse, cheapest")

    def decide(self, state: State) -> Decision:
        credit = state.allowance
        price = paced(self.usd_per_quality, credit or 0, nano(self.usd_per_request), self.horizon)
        kept = state if credit is None else replace(state, allowance=int(credit / self.reserve))
        decision = Budget(dialled(self.inner, price)).decide(kept)
        if isinstance(decision, Refuse) and decision.reason == "budget" and self.broke == "cheapest":
            return Ask((cheapest(state.untried.values()).expert,), last=True, why="the cheapest; nothing is left")
        return decision
