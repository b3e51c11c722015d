"""Runs a real policy and router over recorded outcomes: the gateway's loop with a table in the experts' place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from experts.base import Answer, Failure, Outcome, Request, Timing
from experts.card import Card, Usage
from experts.catalog import Catalog, Demand, eligible
from policies.base import Accept, Ask, Policy, Refuse, State
from routers.base import Router
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPARE_STEPS = 2
"""Rounds beyond one for each expert, as in the gateway."""


@dataclass(frozen=True, slots=True)
class Story:
    """One request's life: who answered (`None`: refused), and all that was asked, in order."""

    expert: str | None
    outcomes: tuple[Outcome, ...]
    reason: str = ""

    @property
    def cost(self) -> int:
        """Nano-dollars of all calls; a failure without a known cost adds nothing."""
        return sum(outcome.cost or 0 for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a policy brought over N prompts, arrays of shape (N,)."""

    experts: tuple[str | None, ...]
    score: NDArray[np.float64]
    """0 where the policy refused."""
    cost: NDArray[np.float64]
    """Nano-dollars of all calls."""
    calls: NDArray[np.int64]


@dataclass(slots=True)
class Loop:
    """The decide-loop without input and output; `spent` grows with every request, `budget` is its limit."""

    policy: Policy
    router: Router
    catalog: Catalog
    draw: Callable[[], float]
    budget: int | None = None
    spent: int = field(default=0, init=False)

    def run(self, request: Request, recorded: Callable[[str], Outcome]) -> Story:
        """Asks the policy until it settles; `recorded` is what asking an expert by name would bring."""
        story = self._settle(request, recorded, eligible(Demand.of(request), self.catalog))
        self.spent += story.cost
        return story

    def _settle(self, request: Request, recorded: Callable[[str], Outcome], catalog: Catalog) -> Story:
        outcomes: tuple[Outcome, ...] = ()
        for _ in range(len(catalog) + SPARE_STEPS):
            match self.policy.decide(self._state(request, catalog, outcomes)):
                case Accept(answer):
                    return Story(answer.expert, outcomes)
                case Refuse(reason):
                    return Story(None, outcomes, reason)
                case Ask(names, last=last):
                    outcomes += tuple(recorded(name) for name in names)
                    if last and isinstance(outcomes[-1], Answer):
                        return Story(outcomes[-1].expert, outcomes)
        return Story(None, outcomes, "exhausted")

    def _state(self, request: Request, catalog: Catalog, outcomes: tuple[Outcome, ...]) -> State:
        spent = self.spent + sum(outcome.cost or 0 for outcome in outcomes)
        allowance = None if self.budget is None else max(0, self.budget - spent)
        return State(request, self.router.estimate(request, catalog, outcomes), outcomes, allowance, self.draw())


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded: the table; unit vectors of its prompts, shape (N, D), in the encoder's place; and, where
    the table keeps them, the words of each answer and the reason of each failure by (prompt, expert)."""

    outcomes: Outcomes
    embeddings: NDArray[np.float32] | None = None
    words: Mapping[tuple[str, str], str] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def requests(self) -> Iterator[Request]:
        """Every prompt of the table as a request of one human turn."""
        for i, prompt in enumerate(self.outcomes.prompts):
            request = Request(messages=({"role": "user", "content": prompt},), id=f"replay-{i}")
            yield request if self.embeddings is None else replace(request, embedding=self.embeddings[i])


def replay(policy: Policy, router: Router, recording: Recording, budget: int | None = None, seed: int = 0) -> Replayed:
    """What `policy` would have brought over the prompts of the table, in their order; nothing is called.

    `budget` is nano-dollars for all prompts together."""
    import numpy as np

    loop = Loop(policy, router, cards(recording.outcomes), np.random.default_rng(seed).random, budget)
    rows = [Row(recording, i) for i in range(len(recording.outcomes))]
    stories = [loop.run(request, row) for request, row in zip(recording.requests(), rows, strict=True)]
    pairs = zip(stories, rows, strict=True)
    return Replayed(
        experts=tuple(story.expert for story in stories),
        score=np.array([0.0 if story.expert is None else row.score(story.expert) for story, row in pairs]),
        cost=np.array([story.cost for story in stories], dtype=np.float64),
        calls=np.array([len(story.outcomes) for story in stories], dtype=np.int64),
    )


def cards(outcomes: Outcomes) -> Catalog:
    """A catalog for recorded experts: able to take everything, since they took it."""
    return {name: Card(description="recorded", context=1 << 60, tools=True) for name in outcomes.experts}


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of the recording: what each expert brought, as an outcome.

    An expert without a score gave no answer: it declined if that cost something or took time, else it was not
    asked when the table was made."""

    recording: Recording
    index: int

    def __call__(self, expert: str) -> Outcome:
        table, place = self.recording.outcomes, self._place(expert)
        cost, seconds = _whole(table.cost[place]), float(table.seconds[place])
        timing = Timing(None, seconds if seconds == seconds else 0.0)
        reason = self._failure(expert, cost is None and seconds != seconds)
        if reason is not None:
            return Failure(expert, reason, retryable=True, cost=cost, timing=timing)
        usage = Usage(_whole(table.prompt_tokens[place]), _whole(table.completion_tokens[place]))
        message = {"role": "assistant", "content": self.recording.words.get(self._key(expert), "")}
        return Answer(expert, message, "stop", usage, cost, timing)

    def score(self, expert: str) -> float:
        """The recorded score of an expert's answer."""
        return float(self.recording.outcomes.score[self._place(expert)])

    def _failure(self, expert: str, untouched: bool) -> str | None:
        score = self.score(expert)
        if score != score:
            return "unavailable" if untouched else "declined"
        return self.recording.failures.get(self._key(expert))

    def _place(self, expert: str) -> tuple[int, int]:
        return self.index, self.recording.outcomes.experts.index(expert)

    def _key(self, expert: str) -> tuple[str, str]:
        return self.recording.outcomes.prompts[self.index], expert


def _whole(value: float) -> int | None:
    return None if value != value else round(float(value))


def complete(outcomes: Outcomes) -> Outcomes:
    """The prompts for which every expert has a score and a cost."""
    import numpy as np

    known = ~np.isnan(outcomes.score) & ~np.isnan(outcomes.cost)
    rows: Sequence[int] = np.flatnonzero(known.all(axis=1)).tolist()
    return outcomes.rows(rows)
