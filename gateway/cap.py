"""Answers that go on beyond what was reserved for them: an expert that does not keep to its cap is cut at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experts.base import Chunk
from gateway.fares import choices

if TYPE_CHECKING:
    from gateway.tally import Tally

LENGTH = Chunk({}, "length")
"""What a client hears last of an answer that was cut."""
SLACK = 16
"""Chunks beyond the cap that may be there honestly: a role, an end, a usage."""
FEWEST_LETTERS = 2
"""A chunk is a token or more, unless a server sends letters one by one: then there are not so many in each."""
MOST_LETTERS = 16
"""More than so many letters for each token no answer has, however many tokens its chunks hold."""


def room(tally: Tally) -> int | None:
    """Tokens that were reserved for an answer, all its choices together; `None` if nothing was."""
    if tally.promise is None:
        return None
    return tally.promise.cap * choices(tally.life.request)


def beyond(tally: Tally) -> bool:
    """Whether an answer that goes on has more tokens than were reserved: as its expert counts them, else as far as
    its chunks and letters prove it."""
    cap = room(tally)
    if cap is None or tally.finish_reason:
        return False
    if tally.usage is not None and (tally.usage.completion_tokens or 0) > cap:
        return True
    if tally.letters > MOST_LETTERS * (cap + SLACK):
        return True
    return tally.chunks > cap + SLACK and (not tally.plain or tally.letters > FEWEST_LETTERS * cap)
