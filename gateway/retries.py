"""Answers that were paid for and could not be delivered, because nothing could be recorded: for the client's own retry.

OpenAI's and Anthropic's libraries say with each request how often they have tried it. A first try is a request of its
own, even if it says what another said; a retry gets the answer that its failed try has bought, once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from experts.base import Answer, Request
from policies.pick import Only
from policies.rows import OutcomeRow

if TYPE_CHECKING:
    from gateway.life import Life

COUNT = b"x-stainless-retry-count"
NAME = "retried"
"""What the ledger calls the policy of a retry that gets the answer of its failed try."""
MOST, SECONDS = 256, 120.0
"""Answers that are kept, and for how long."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that waits for its retry, until a second of the clock."""

    answer: Answer
    until: float


@dataclass(slots=True)
class Retries:
    """The answers of this process that wait; nothing of them is on any disk."""

    clock: Callable[[], float]
    kept: OrderedDict[bytes, list[Kept]] = field(default_factory=OrderedDict)

    def keep(self, life: Life) -> None:
        """What was answered to a life's request, if that was all of it, is kept."""
        answer = life.outcomes[0] if life.policy_name == NAME else life.answered
        if life.request.stream or not isinstance(answer, Answer):
            return
        self.kept.setdefault(_digest(life.key, life.request), []).append(Kept(answer, self.clock() + SECONDS))
        if len(self.kept) > MOST:
            self.kept.popitem(last=False)

    def give(self, life: Life, headers: Mapping[bytes, bytes]) -> None:
        """The life of a retry has the answer of its failed try, if there is one: nobody is asked, what it has cost is
        recorded here, where it could not be there, and not booked again."""
        if headers.get(COUNT, b"0") == b"0":
            return
        digest = _digest(life.key, life.request)
        waiting = [kept for kept in self.kept.pop(digest, ()) if kept.until > self.clock()]
        if waiting[1:]:
            self.kept[digest] = waiting[1:]
        if waiting:
            answer, books = waiting[0].answer, life.school.books
            life.outcomes, life.policy, life.policy_name = (answer,), Only(answer.expert), NAME
            books.ledger.write(OutcomeRow.of(life.request.id, 0, answer, books.clock()))


def _digest(key: str, request: Request) -> bytes:
    """Names what a key asked, and nothing else."""
    asked = (key, request.dialect, request.model, request.messages, request.options, request.native)
    return hashlib.sha256(orjson.dumps(asked, default=str, option=orjson.OPT_NON_STR_KEYS)).digest()
