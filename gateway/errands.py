"""Recognises what a client asks for itself and no human will judge: a title for the conversation, tags, follow-ups.

Known: opencode, Open WebUI, LibreChat, Claude Code, Zed, and those that say it in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from experts.reading import look

NAME = "errand"
"""What the ledger calls the policy of such a request, so that nobody counts it among the judged ones."""

ENDS = 600
"""Characters at the beginning and at the end of a text in which a client says what it wants."""

TALK = r"(?:conversation|chat|thread|session|discussion|dialogue)"
ERRAND = re.compile(
    rf"\btitle generator\b"
    rf"|\b(?:generate|write|create|provide|give|extract|suggest|output|produce)\b[^\n]{{0,60}}\btitles?\b"
    rf"[^\n]{{0,120}}\b{TALK}\b"
    rf"|\b{TALK} titles?\b"
    rf"|5-word-or-less title"
    rf"|^### Task:\s+(?:generate|suggest)\b[^\n]{{0,120}}\b(?:title|tags|follow-?up|{TALK})\b"
    rf"|\bindicates a new conversation topic\b"
    rf"|^summarize this coding conversation in under\b",
    re.IGNORECASE | re.MULTILINE,
)
LONGEST = 4
"""Messages; a conversation that goes on is no errand."""


def errand(messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> bool:
    """Whether a request is a client's own errand. One with tools to call never is."""
    if len(messages) > LONGEST or options.get("tools"):
        return False
    found = look(messages)
    asked = found.texts if len(found.texts) <= 2 else [found.texts[0], found.texts[-1]]
    both = "\n".join(asked if found.letters <= 4 * ENDS else map(_ends, asked))
    if "itle" not in both and "onv" not in both and "#" not in both:
        return False
    return any(map(_asks, map(_ends, asked)))


def _ends(said: str) -> str:
    return said if len(said) <= 2 * ENDS else f"{said[:ENDS]}\n{said[-ENDS:]}"


def _asks(ends: str) -> bool:
    return _may_ask(ends) and ERRAND.search(ends) is not None


def _may_ask(ends: str) -> bool:
    """Whether there is anything to search for; short words are found sooner than what they stand in."""
    return "itle" in ends or ("onv" in ends and "conversation" in ends) or ("#" in ends and "### Task:" in ends)
