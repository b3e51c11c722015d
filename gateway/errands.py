"""Recognises what a client asks for itself and no human will judge: a title for the conversation, tags, follow-ups.

Known: opencode, Open WebUI, LibreChat, Claude Code, Zed, and those that say it in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from experts.reading import Reading

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
SHORT = 4 * ENDS
"""Characters of a conversation in which all is searched rather than its ends cut out."""
LONGEST = 4
"""Messages; a conversation that goes on is no errand."""


def errand(found: Reading, options: Mapping[str, Any]) -> bool:
    """Whether a request is a client's own errand. One with tools to call never is."""
    texts = found.texts
    if len(texts) > LONGEST:
        return False
    said = "\n".join(texts) if found.letters <= SHORT else f"{_ends(texts[0])}\n{_ends(texts[-1])}"
    if "itle" not in said and "onversation" not in said and "#" not in said:
        return False
    return not options.get("tools") and (_asks(_ends(texts[0])) or _asks(_ends(texts[-1])))


def _ends(said: str) -> str:
    return said if len(said) <= 2 * ENDS else f"{said[:ENDS]}\n{said[-ENDS:]}"


def _asks(ends: str) -> bool:
    return _may_ask(ends) and ERRAND.search(ends) is not None


def _may_ask(ends: str) -> bool:
    """Whether there is anything to search for; short words are found sooner than what they stand in."""
    return "itle" in ends or "onversation" in ends or ("#" in ends and "### Task:" in ends)
