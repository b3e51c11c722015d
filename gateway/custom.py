"""Free-form tools for experts that know functions alone: such a tool is a function with one string, its input."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from experts.base import BrokenOff
from gateway.translation import Translation, object_in, without_nothing

INPUT = "input"
ABOUT = "The whole input of this free-form tool, as it is."
RULED = "Nobody checks it for you: the input must follow this {syntax} grammar to the letter:\n{definition}"

HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
LETTERS = re.compile(
    r'(?:[^"\\]++|\\["\\/bfnrt]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
    r"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})*+"
)
"""As much of a string of JSON as is whole: no half escape, no half of a letter that needs two."""
READ = json.JSONDecoder(strict=False).decode
"""Small models write line ends into strings as they are."""


def function(
    name: str, tool: Mapping[str, Any], form: Mapping[str, Any], param: str, told: Translation
) -> dict[str, Any]:
    """A free-form tool as a function; `form` says of its format `type`, and of a grammar `syntax` and `definition`.
    A regular expression is a pattern that the expert keeps to as it keeps to any schema; another grammar is only told
    in words, which is said."""
    about: dict[str, Any] = {"type": "string", "description": ABOUT}
    words = tool.get("description")
    match form:
        case {"type": "text"}:
            pass
        case {"type": "grammar", "syntax": "regex", "definition": str(pattern)}:
            about["pattern"] = pattern if pattern[:1] == "^" and pattern[-1:] == "$" else f"^({pattern})$"
        case {"type": "grammar", "syntax": str(syntax), "definition": str(definition)}:
            told.offers.append(f"{param}.format")
            words = "\n\n".join(filter(None, (words, RULED.format(syntax=syntax, definition=definition))))
        case _:
            told.cannot(f"{param}.format")
    schema = {"type": "object", "properties": {INPUT: about}, "required": [INPUT], "additionalProperties": False}
    named = without_nothing({"name": name, "description": words})
    return {"type": "function", "function": {**named, "parameters": schema, "strict": True}}


def format_of(tool: Mapping[str, Any], param: str) -> dict[str, Any]:
    """The format of a tool; none is plain text. Raises APIError."""
    return object_in(tool, "format", f"{param}.") or {"type": "text"}


def arguments(given: str) -> str:
    """An input as the arguments of a function."""
    return orjson.dumps({INPUT: given}).decode()


class Unwrapped:
    """The input in the arguments of a call, which come in pieces that are cut anywhere. Arguments that are no object
    are the input themselves: the model spoke to the tool without its wrapping."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.said: list[str] = []
        self.rest = ""
        """What cannot be told yet."""
        self.inside = self.bare = False

    @property
    def raw(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces)

    def take(self, piece: str) -> str:
        """What of the input is certain now."""
        self.pieces.append(piece)
        self.rest += piece
        if not (self.inside or self.bare):
            self._begin()
        new = ""
        if self.bare:
            new, self.rest = self.rest, ""
        elif self.inside:
            found = LETTERS.match(self.rest)
            assert found is not None
            new, self.rest = READ(f'"{found[0]}"'), self.rest[found.end() :]
        self.said.append(new)
        return new

    def _begin(self) -> None:
        found = HEAD.match(self.rest)
        if found is not None:
            self.inside, self.rest = True, self.rest[found.end() :]
        else:
            self.bare = self.rest.lstrip()[:1] not in ("", "{")

    def end(self, cut: bool = False) -> str:
        """What was not certain before; nothing if the answer is `cut`. Raises BrokenOff for what has no input, or
        another than was told."""
        if self.bare:
            return ""
        whole, told = _input(self.raw), "".join(self.said)
        if whole is None and cut:
            return ""
        if whole is None or not whole.startswith(told):
            raise BrokenOff("the expert called a free-form tool without its input")
        return whole[len(told) :]


def unwrapped(given: Any, cut: bool = False) -> str:
    """The input in whole arguments. Raises BrokenOff."""
    found = Unwrapped()
    return found.take(str(given or "")) + found.end(cut)


def _input(raw: str) -> str | None:
    """The input in an object, if it has one that can be written again."""
    try:
        value = READ(raw)
        found = value.get(INPUT) if isinstance(value, dict) else None
        return found if isinstance(found, str) and found.encode() is not None else None
    except (ValueError, RecursionError):
        return None
