"""The vocabulary of the room: what a policy sees and what it may decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from experts.base import Answer, Outcome, Request
from routers.base import Estimate


class State(Struct, frozen=True):
    """All that a decision may depend on. `estimates` holds the eligible experts; `outcomes`, in order, what was
    asked so far; `allowance` is what may still be spent (nano-dollars; `None` is no limit); `draw` is a uniform
    number in [0, 1) for policies that explore, passed in so that a decision replays from its log; `sticky` names who
    answered the conversation last."""

    request: Request
    estimates: Mapping[str, Estimate]
    outcomes: tuple[Outcome, ...] = ()
    allowance: int | None = None
    draw: float = 0.0
    sticky: str | None = None

    @property
    def untried(self) -> Mapping[str, Estimate]:
        """The estimates of the experts that have not been asked yet."""
        if not self.outcomes:
            return self.estimates
        asked = {outcome.expert for outcome in self.outcomes}
        return {name: estimate for name, estimate in self.estimates.items() if name not in asked}

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers so far."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Answer))


class Spare(Struct, frozen=True):
    """Another expert, asked as well once the one of a tail call has kept the client waiting for `after` seconds: for at
    most a `share` of requests, and not while more than `under_way` are."""

    expert: str
    after: float
    share: float
    under_way: int


class Ask(Struct, frozen=True):
    """Ask these experts, all at once. `last`: a tail call, the one answer goes straight to the client.

    `probability` is the chance with which this choice was made; `why` is one clause for people; `spare` hedges a tail
    call."""

    experts: tuple[str, ...]
    last: bool = False
    probability: float = 1.0
    why: str = ""
    spare: Spare | None = None


class Accept(Struct, frozen=True):
    """Reply with an answer that was given before."""

    answer: Answer
    why: str = ""


class Refuse(Struct, frozen=True):
    """Reply with an error. `reason` is one of `no_expert`, `exhausted`, `rejected`, `budget`."""

    reason: str
    why: str = ""


Decision = Ask | Accept | Refuse


class Policy(Protocol):
    """Decides; pure and total. Never asks an expert twice, so every request settles."""

    def decide(self, state: State) -> Decision: ...
