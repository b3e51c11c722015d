"""Remembers who answered a conversation last, so that it stays with the same expert while that is as good as any.

A client names its conversation in a header or in `prompt_cache_key`; else the messages before the first answer are
its name. Only hashes are kept, for each key those used last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experts.base import Request
from experts.reading import OPENING, Reading
from policies.rows import hash_of

if TYPE_CHECKING:
    from gateway.life import Life

HEADERS = (b"session-id", b"thread-id", b"x-session-id", b"x-session-affinity")
"""Codex sends the first two, opencode the others."""
ANY = frozenset(HEADERS)
MOST = 4096
"""Conversations of one key; the one that was idle longest makes room."""
END = 256
"""Letters that are looked at of a long text's beginning and end."""
LONG = 2 * END
WHOLE = 2048
"""Letters of all that was said that are hashed as they are."""
NAMELESS: list[Mapping[bytes, bytes]] = [{}]
"""The headers that were found last to name no conversation: those of a program are the same ones each time."""


def follow(life: Life, found: Reading, headers: Mapping[bytes, bytes]) -> None:
    """Tells a life its conversation, and who answered there last; one without a name has to have begun for that."""
    request = life.request
    nameless = headers is NAMELESS[0]
    if not nameless and ANY.isdisjoint(headers):
        NAMELESS[0], nameless = headers, True
    if not nameless or "prompt_cache_key" in request.options or request.native is not None:
        life.session = named(headers, request)
    elif found.fresh:
        life.session = hashed(found.texts, found.letters)
        return
    if not life.session:
        opening = beginning(found)
        life.session = hashed(opening, sum(map(len, opening)))
        if len(opening) == len(found.texts):
            return
    life.sticky = life.school.sessions.expert(life.key, life.session)


def beginning(found: Reading) -> tuple[str, ...]:
    """What was said before the first answer."""
    answers = (place for place, role in enumerate(found.roles) if role not in OPENING)
    return found.texts[: next(answers, len(found.texts))]


def named(headers: Mapping[bytes, bytes], request: Request) -> int:
    """The hash of the name that the client gave its conversation; 0 if there is none."""
    if not ANY.isdisjoint(headers):
        return hash(next(headers[header] for header in HEADERS if header in headers))
    told: Any = request.options.get("prompt_cache_key")
    if not told and request.native is not None:
        told = request.native.get("prompt_cache_key")
    return hash(told) if isinstance(told, str) else 0


def hashed(texts: tuple[str, ...], letters: int, told: str = "") -> int:
    """Of what was said; where that is much, of a long text's length, beginning and end: what is between costs time and
    tells nothing more. `told`: the last text's fingerprint, if that is known."""
    if letters <= WHOLE:
        return hash((texts[:-1], told or hash_of(texts[-1] if texts else "")))  # an answer may come first
    ends = (said if len(said) <= LONG else (len(said), said[:END], said[-END:]) for said in texts)
    return hash(tuple(ends))


class Sessions:
    """The experts of the conversations."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.kept: dict[str, OrderedDict[int, str]] = {}

    def expert(self, key: str, session: int) -> str | None:
        """Who answered last."""
        mine = self.kept.get(key)
        return None if mine is None else mine.get(session)

    def keep(self, key: str, session: int, expert: str) -> None:
        """Notes who answers now."""
        try:
            mine = self.kept[key]
        except KeyError:
            mine = self.kept[key] = OrderedDict()
        if session in mine:
            mine.move_to_end(session)
        mine[session] = expert
        if len(mine) > self.most:
            mine.popitem(last=False)
