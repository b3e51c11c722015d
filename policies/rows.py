"""The rows of the ledger: what was decided, what it brought, what was booked; each is stored as one line of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import orjson
from msgspec import Raw, Struct, field
from msgspec.structs import replace
from xxhash import xxh3_64_hexdigest

from experts.base import Answer, Outcome
from experts.card import Usage
from policies.base import Accept, Ask, Decision, State
from policies.recall import Recall
from routers.base import Estimate

UNKNOWN = Usage()
END = 2048
"""Characters of a long prompt's beginning and end that its fingerprint looks at."""
LONG = 2 * END


Budgets = Sequence[tuple[str, int, int | None, int, int]]
"""Name, start of the period, amount of the budget, what was spent before and after."""


class DecisionRow(Struct, frozen=True, array_like=True, tag="decision"):
    """One decision of a policy; a request has one for each `step`. Never holds the prompt, only its hash."""

    TABLE: ClassVar[str] = "decisions"
    cost: ClassVar[int] = 0

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
    estimates: Mapping[str, Estimate] | Raw = field(default_factory=dict)
    """In JSON already, or still to be written so."""
    policy_hash: str = ""
    """Of the operator's policies as they were configured then."""

    @classmethod
    def of(
        cls, state: State, decision: Decision, step: int, time: float, key: str = "", policy: str = ""
    ) -> DecisionRow:
        """The row of a decision."""
        return cls(*decided(state, decision, step, time, key, policy)[1:])


class OutcomeRow(Struct, frozen=True, array_like=True, tag="outcome"):
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
    written_tokens: int | None = None
    """Of the prompt's tokens those written to a cache; `audio_tokens` and `image_tokens` those heard and seen."""
    audio_tokens: int | None = None
    image_tokens: int | None = None
    spoken_tokens: int | None = None
    """Of the answer's tokens."""
    price: str = ""
    """The version of the expert's prices."""

    @classmethod
    def of(
        cls, decision: str, step: int, outcome: Outcome, time: float, status: int | None = None, *, price: str = ""
    ) -> OutcomeRow:
        """The row of an outcome of the decision with this id and step."""
        row = cls(*brought(decision, step, outcome, time, price)[1:])
        return row if status is None else replace(row, status=status)


class SettlementRow(Struct, frozen=True, array_like=True, tag="settlement"):
    """What a call of an expert was booked with on its budgets."""

    TABLE: ClassVar[str] = "settlements"
    cost: ClassVar[int] = 0

    decision: str
    step: int
    expert: str
    time: float
    state: str
    """`settled`; `abandoned`: nobody knows the cost; `late`: the store did not answer and is told again."""
    hold: int
    """Nano-dollars that were reserved: the most that the call could cost."""
    booked: int
    """Nano-dollars that were spent."""
    price: str
    """The version of the expert's prices."""
    budgets: Budgets = ()
    """Of each account: its name, the Unix second in which its period began, nano-dollars of its budget (`None`: it is a
    rate), and what was spent before and after."""


Row = DecisionRow | OutcomeRow | SettlementRow
ESTIMATE = Estimate._fields[1:]
BUDGET = ("account", "since", "limit", "before", "after")
KINDS: Mapping[str, type[Row]] = {"decision": DecisionRow, "outcome": OutcomeRow, "settlement": SettlementRow}
COLUMNS = {row.TABLE: row.__struct_fields__ for row in KINDS.values()}
PRICE = COLUMNS["outcomes"].index("price") + 1

SETTLED = "settled"
"""The kind of a line that is an outcome and its settlement at once: the outcome's own line, then the settlement's
state, hold, booked and budgets. Their decision, step, expert, time and price are the same."""

Line = tuple[Any, ...]
"""A row as its kind and its values in the order of the fields, as it is stored; or both rows of SETTLED."""

encode = msgspec.json.Encoder().encode
"""A row or a line as JSON: a list of its kind and its values."""
write = msgspec.json.Encoder().encode_into
"""Writes a row or a line, or a list of them, into a bytearray; -1: at its end."""
COMMA = ord(",")
LARGEST = (1 << 63) - 1
"""Number that SQLite can hold."""
written: Recall[Mapping[str, Estimate], Raw] = Recall(lambda estimates: Raw(encode(estimates)))
"""Estimates as JSON, once for those that are known."""


def writable(value: Any) -> Any:
    """The value, or the nearest that can be written: text without what is none, numbers that are not too large."""
    if isinstance(value, list | tuple):
        return [writable(each) for each in value]
    if isinstance(value, int):
        return max(min(value, LARGEST), -LARGEST)
    return value if value is None or isinstance(value, float | Raw) else str(value).encode("utf-8", "replace").decode()


def decided(state: State, decision: Decision, step: int, time: float, key: str, policy: str) -> Line:
    """The line of a decision."""
    request, estimates = state.request, state.estimates
    known = written.kept.get(id(estimates))
    told = written(estimates) if known is None else known[1]
    reason: str | None = None
    if isinstance(decision, Ask):
        kind, experts = "ask", decision.experts
        last, probability = decision.last, decision.probability
    else:
        last, probability = False, 1.0
        if isinstance(decision, Accept):
            kind, experts = "accept", (decision.answer.expert,)
        else:
            kind, experts, reason = "refuse", (), decision.reason
    return (
        "decision",
        request.id,
        step,
        time,
        key,
        request.model,
        policy,
        kind,
        experts,
        last,
        reason,
        probability,
        state.draw,
        state.allowance,
        decision.why,
        hash_of(request.prompt),
        told,
    )


def brought(decision: str, step: int, outcome: Outcome, time: float, price: str) -> Line:
    """The line of an outcome of the decision with this id and step; without a status."""
    usage, timing = outcome.usage or UNKNOWN, outcome.timing
    if isinstance(outcome, Answer):
        kind, reason, finish_reason = "answer", None, outcome.finish_reason
    else:
        kind, reason, finish_reason = "failure", outcome.reason, None
    return (
        "outcome",
        decision,
        step,
        outcome.expert,
        time,
        kind,
        reason,
        finish_reason,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        usage.estimated,
        outcome.cost,
        timing.first,
        timing.total,
        None,
        usage.written_tokens,
        usage.audio_tokens,
        usage.image_tokens,
        usage.spoken_tokens,
        price,
    )


def decode(lines: bytes) -> list[list[Any]]:
    """The rows of a group, each a list of its kind and its values. Raises ValueError for what is no JSON."""
    rows: list[list[Any]] = []
    for line in orjson.loads(lines):
        if line[0] == SETTLED:
            _, outcome, state, hold, booked, budgets = line
            rows += outcome, ["settlement", *outcome[1:5], state, hold, booked, outcome[PRICE], budgets]
        else:
            rows.append(line)
    return rows


def hash_of(prompt: str) -> str:
    """A short fingerprint of a prompt, to find requests with the same one: of all of it, or of its length and both its
    ends. Nobody's safety hangs on it."""
    if len(prompt) > LONG:
        prompt = f"{len(prompt)}{prompt[:END]}{prompt[-END:]}"
    return xxh3_64_hexdigest(prompt.encode("utf-8", "surrogatepass"))


def readable(row: Sequence[Any]) -> dict[str, Any]:
    """A decoded row by the names of its fields, its estimates opened up."""
    kind = KINDS[row[0]]
    columns = COLUMNS[kind.TABLE]  # an older release has written fewer of them
    shown: dict[str, Any] = dict.fromkeys(columns) | dict(zip(columns, row[1:], strict=False))
    if kind is DecisionRow:
        estimates = shown["estimates"].values()
        shown["estimates"] = {each[0]: dict(zip(ESTIMATE, each[1:], strict=False)) for each in estimates}
    if kind is SettlementRow:
        shown["budgets"] = [dict(zip(BUDGET, each, strict=True)) for each in shown["budgets"]]
    return shown
