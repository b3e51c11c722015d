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

ENDS = 300
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
QUIET = [""]
"""The first text that was found last to ask for none: a program sends the same one each time."""


def errand(found: Reading, options: Mapping[str, Any]) -> bool:
    """Whether a request is a client's own errand. One with tools to call never is."""
    texts = found.texts
    if not 0 < len(texts) <= LONGEST:
        return False
    asks, first = _asks(texts[-1]), texts[0]
    if not asks and first is not QUIET[0]:
        asks = _asks(first)
        if not asks:
            QUIET[0] = first
    return asks and not options.get("tools")


def _asks(said: str) -> bool:
    if len(said) > 2 * ENDS:
        said = f"{said[:ENDS]}\n{said[-ENDS:]}"
    # Short words are found sooner than what they stand in.
    may = "itle" in said or "onversation" in said or ("#" in said and "### Task:" in said)
    return may and ERRAND.search(said) is not None
