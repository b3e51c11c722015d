"""Chunks that are like one before but for their words: proven to be so, and passed on without being parsed.

A server writes the same bytes around the words of each chunk. Where they come again, all that has to be read is one
string of JSON; whatever else comes goes the long way.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from experts.base import Chunk

CONTENT = re.compile(rb'"content"\s*:\s*"((?:[^"\\]|\\.)*)"')
"""Inside a JSON string a quotation mark is escaped, so this can only be a key and its value."""
PROBE = "?"
TRIES = 4
"""Chunks in a row from which nothing could be learned before that is given up: they differ in more than words."""
END, END_CR = b"\n\n", b"\r\n\r\n"
HEAD = b"data: "


class Alike:
    """What the last chunk of one stream had around its words, at the expert and at the client."""

    __slots__ = ("after", "before", "our_after", "our_before", "our_seam", "seam", "tries")

    def __init__(self) -> None:
        self.before = self.after = self.seam = self.our_before = self.our_after = self.our_seam = b""
        self.tries = TRIES

    def taken(self, data: bytes) -> tuple[bytes, list[str]] | None:
        """What the client gets for a read that holds nothing but such chunks, and their words; else `None`."""
        before, after = self.before, self.after
        if not (before and data.startswith(before) and data.endswith(after)) or len(data) < len(before) + len(after):
            return None
        said = data[len(before) : -len(after)]
        try:
            if self.seam not in said:
                texts = [orjson.loads(b'"%b"' % said)]
            else:
                parts = said.split(self.seam)
                texts = [orjson.loads(b'"%b"' % part) for part in parts]
                said = self.our_seam.join(parts)
        except orjson.JSONDecodeError:
            return None
        self.tries = TRIES
        return b"%b%b%b" % (self.our_before, said, self.our_after), texts

    def learn(self, data: bytes, chunk: Chunk, out: bytes) -> None:
        """Learns from a read that was one event, its chunk, and the event that the client got."""
        if self.tries <= 0 or chunk.data is None or not out:
            return
        self.tries -= 1
        end = END_CR if data.endswith(END_CR) else END
        if len(data) != len(HEAD) + len(chunk.data) + len(end) or not data.startswith(HEAD):
            return
        theirs, ours = CONTENT.search(data), CONTENT.search(out)
        if theirs is None or ours is None or orjson.loads(b'"%b"' % theirs[1]) != chunk.delta.get("content"):
            return
        before, after = data[: theirs.start(1)], data[theirs.end(1) :]
        if _only_words(orjson.loads(before[len(HEAD) :] + PROBE.encode() + after)):
            self.before, self.after, self.seam = before, after, after + before
            self.our_before, self.our_after = out[: ours.start(1)], out[ours.end(1) :]
            self.our_seam = self.our_after + self.our_before


def _only_words(payload: dict[str, Any]) -> bool:
    """Whether an event says nothing but the probe, as the words of its only choice."""
    choices = payload.get("choices")
    if payload.get("usage") is not None or not isinstance(choices, list) or len(choices) != 1:
        return False
    choice = choices[0]
    if choice.get("index", 0) != 0 or choice.get("finish_reason"):
        return False
    return {key: value for key, value in choice["delta"].items() if value and key != "role"} == {"content": PROBE}
