"""The rows of the ledger: what was decided, what it brought; each is one line of values with a checksum."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from msgspec import Struct, field

from experts.base import Answer, Outcome
from experts.card import Usage
from policies.base import Accept, Ask, Decision, State
from routers.base import Estimate

Value = str | int | float | None


class DecisionRow(Struct, frozen=True):
    """One decision of a policy; a request has one for each `step`. Never holds the prompt, only its hash."""

    TABLE: ClassVar[str] = "decisions"

    id: str
    step: int
    time: float
    """Unix seconds."""
    key: str
    """The public id of the client's key; empty if there are no keys."""
    model: str
    """The model that the client asked for."""
    policy: str
    kind: str
    """`ask`, `accept` or `refuse`."""
    experts: tuple[str, ...]
    """Who is asked, or whose answer is accepted."""
    last: bool
    reason: str | None
    probability: float
    draw: float
    allowance: int | None
    why: str
    prompt_hash: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    @classmethod
    def of(cls, state: State, decision: Decision, step: int, **about: Any) -> DecisionRow:
        """The row of a decision. `about`: time, key, policy; `id` if it is not the request's."""
        return cls(
            **{"id": state.request.id, "key": "", **about},
            step=step,
            model=state.request.model,
            **_choice(decision),
            draw=state.draw,
            allowance=state.allowance,
            why=decision.why,
            prompt_hash=hash_of(state.request.prompt),
            estimates=state.estimates,
        )

    def values(self) -> tuple[Value, ...]:
        """What is stored, in the order of the fields."""
        estimates = {name: each[1:] for name, each in self.estimates.items()}
        return (
            *(self.id, self.step, self.time, self.key, self.model, self.policy, self.kind),
            *(_json(self.experts), int(self.last), self.reason, float(self.probability), float(self.draw)),
            *(self.allowance, self.why, self.prompt_hash, _json(estimates)),
        )


class OutcomeRow(Struct, frozen=True):
    """What asking one expert brought."""

    TABLE: ClassVar[str] = "outcomes"

    decision: str
    step: int
    expert: str
    time: float
    kind: str
    """`answer` or `failure`."""
    reason: str | None
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    estimated: bool
    """Whether the tokens were counted by us because the expert did not report them."""
    cost: int | None
    first: float | None
    """Seconds to the first chunk."""
    total: float
    status: int | None
    """The HTTP status that the client was sent because of it; `None` if this outcome did not decide it."""

    @classmethod
    def of(cls, decision: str, step: int, outcome: Outcome, time: float, status: int | None = None) -> OutcomeRow:
        """The row of an outcome of the decision with this id and step."""
        answer = outcome if isinstance(outcome, Answer) else None
        usage = outcome.usage or Usage()
        return cls(
            decision=decision,
            step=step,
            expert=outcome.expert,
            time=time,
            kind="answer" if answer else "failure",
            reason=None if isinstance(outcome, Answer) else outcome.reason,
            finish_reason=answer.finish_reason if answer else None,
            **{name: getattr(usage, name) for name in TOKENS},
            estimated=usage.estimated,
            cost=outcome.cost,
            first=outcome.timing.first,
            total=outcome.timing.total,
            status=status,
        )

    def values(self) -> tuple[Value, ...]:
        """What is stored, in the order of the fields."""
        return (
            *(self.decision, self.step, self.expert, self.time, self.kind, self.reason, self.finish_reason),
            *(self.prompt_tokens, self.completion_tokens, self.cached_tokens, self.reasoning_tokens),
            *(int(self.estimated), self.cost, self.first, float(self.total), self.status),
        )


Row = DecisionRow | OutcomeRow
ESTIMATE = ("quality", "std", "cost", "cost_high", "latency", "usual")
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
COLUMNS = {row.TABLE: row.__struct_fields__ for row in (DecisionRow, OutcomeRow)}


def checksum(values: Sequence[Value]) -> int:
    """CRC-32 of the values: finds flipped bits, not forgers."""
    return zlib.crc32(orjson.dumps(list(values)))


def hash_of(prompt: str) -> str:
    """A short fingerprint of a prompt, to find requests with the same one."""
    return hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def readable(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row with its lists and estimates opened up."""
    shown = {column: row[column] for column in COLUMNS[table]}
    if table == DecisionRow.TABLE:
        estimates = orjson.loads(shown["estimates"])
        shown["experts"] = orjson.loads(shown["experts"])
        shown["last"] = bool(shown["last"])
        shown["estimates"] = {name: dict(zip(ESTIMATE, each, strict=False)) for name, each in estimates.items()}
    else:
        shown["estimated"] = bool(shown["estimated"])
    return shown


def _choice(decision: Decision) -> dict[str, Any]:
    if isinstance(decision, Ask):
        probability = decision.probability
        return {"kind": "ask", "experts": decision.experts, "last": decision.last, "reason": None} | {
            "probability": probability
        }
    experts = (decision.answer.expert,) if isinstance(decision, Accept) else ()
    kind, reason = ("accept", None) if isinstance(decision, Accept) else ("refuse", decision.reason)
    return {"kind": kind, "experts": experts, "last": False, "reason": reason, "probability": 1.0}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
