"""Answers that were paid for and not delivered, for they could not be recorded or kept: for the client's own retry.

OpenAI's and Anthropic's libraries say with each request how often they have tried it. A first try is a request of its
own, even if it says what another said; a retry gets the answer that its failed try has bought, once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
import orjson
from msgspec.structs import replace

from experts.base import Answer, Request
from experts.openai_answer import read
from gateway.shelf import Shelf
from policies.pick import Only
from policies.rows import OutcomeRow

if TYPE_CHECKING:
    from gateway.life import Life

COUNT = b"x-stainless-retry-count"
NAME = "retried"
"""What the ledger calls the policy of a retry that gets the answer of its failed try."""
SECONDS = 120.0
"""How long an answer is kept."""
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Answer).decode


class Retries:
    """The answers that wait for a retry, whichever worker it comes to."""

    def __init__(self, clock: Callable[[], float], shelf: Shelf | None = None) -> None:
        self.clock = clock
        self.join(shelf or Shelf())

    def join(self, shelf: Shelf) -> None:
        """From now on they lie there, with those of other workers."""
        self.shelf, self.waiting = shelf, shelf.waiting

    def keep(self, life: Life, recorded: bool = False) -> None:
        """What was answered to a life's request, if that was all of it, is kept; `recorded`: what it cost is known
        already."""
        answer = life.outcomes[0] if life.policy_name == NAME else life.answered
        if life.request.stream or not isinstance(answer, Answer):
            return
        answer = read(answer)
        if recorded:
            answer = replace(answer, cost=0)
        try:
            data = encode(answer)
        except (TypeError, OverflowError):  # an expert of the operator's said what is no JSON
            return
        now = self.clock()
        self.shelf.put(_digest(life.key, life.request), now + SECONDS, now, data)

    def give(self, life: Life, headers: Mapping[bytes, bytes]) -> None:
        """The life of a retry has the answer of its failed try, if there is one: nobody is asked, what it has cost is
        recorded here, where it could not be there, and not booked again."""
        if headers.get(COUNT, b"0") == b"0":
            return
        data = self.shelf.take(_digest(life.key, life.request), self.clock())
        if data is not None:
            answer, books = decode(data), life.school.books
            life.outcomes, life.policy, life.policy_name = (answer,), Only(answer.expert), NAME
            books.ledger.write(OutcomeRow.of(life.request.id, 0, answer, books.clock()))


def _digest(key: str, request: Request) -> bytes:
    """Names what a key asked, and nothing else."""
    asked = (key, request.dialect, request.model, request.messages, request.options, request.native)
    return hashlib.sha256(orjson.dumps(asked, default=str, option=orjson.OPT_NON_STR_KEYS)).digest()
