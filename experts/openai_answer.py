"""Reads answers in OpenAI's form: the first choice, the usage, and how far a streamed answer has come."""

from __future__ import annotations

from collections.abc import Set
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import Meta, Struct
from msgspec.structs import replace

from experts.base import Answer, BrokenOff, Chunk, ExpertError, Timing
from experts.card import Price, Usage
from experts.openai_errors import broken
from experts.reading import Message

MOST_TOKENS = 1_000_000_000
"""A count beyond it is no count."""


def first_choice(payload: dict[str, Any]) -> dict[str, Any] | None:
    """Choice 0 of a chat completion or of one of its chunks."""
    choices = payload.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index", 0) == 0:
            return choice
    return None


def parse_usage(value: Any) -> Usage | None:
    """The usage of an answer; a count that is missing or no whole number in range is None, an explicit 0 is 0."""
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    usage = count(value.get("prompt_tokens")), count(value.get("completion_tokens"))
    if not (prompt or completion):
        return Usage(*usage)
    return detailed(*usage, prompt, completion)


def detailed(prompt_tokens: int | None, completion_tokens: int | None, prompt: Any, completion: Any) -> Usage:
    """A usage with the details of the prompt and of the answer, where they are told."""
    prompt = prompt if isinstance(prompt, dict) else {}
    completion = completion if isinstance(completion, dict) else {}
    return Usage(
        prompt_tokens,
        completion_tokens,
        count(prompt.get("cached_tokens")),
        count(completion.get("reasoning_tokens")),
        written_tokens=count(prompt.get("cache_write_tokens")),
        audio_tokens=count(prompt.get("audio_tokens")),
        image_tokens=count(prompt.get("image_tokens")),
        spoken_tokens=count(completion.get("audio_tokens")),
    )


def count(value: Any) -> int | None:
    """A number of tokens, if it is one."""
    if type(value) is int and 0 <= value <= MOST_TOKENS:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return None
    return int(value) if value == int(value) else None


Tokens = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]


class _Usage(Struct, gc=False):
    prompt_tokens: Tokens
    completion_tokens: Tokens
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None


class _Message(Struct, gc=False):
    """An object of which nothing is read."""


class _Choice(Struct, gc=False):
    message: _Message
    finish_reason: Annotated[str, Meta(min_length=1)]
    index: Literal[0] = 0


class _Plain(Struct, gc=False):
    choices: tuple[_Choice]
    usage: _Usage
    error: None = None
    object: Literal["chat.completion", ""] = ""


class _Part(Struct, gc=False):
    delta: dict[str, Any]
    finish_reason: str | None = None
    index: Literal[0] = 0


class _Event(Struct, gc=False):
    choices: Annotated[list[_Part], Meta(max_length=1)]
    usage: _Usage | None = None
    error: None = None
    object: Literal["chat.completion.chunk", ""] = ""


_decoded = msgspec.json.Decoder(_Plain).decode
_decoded_event = msgspec.json.Decoder(_Event).decode


UNREAD: Message = MappingProxyType({})
"""The message of an answer that is in its bytes alone, as hardly anybody wants to see it: `read` finds it."""


def read(answer: Answer) -> Answer:
    """An answer with its message."""
    if answer.message is not UNREAD or answer.data is None:
        return answer
    try:
        choice = first_choice(orjson.loads(answer.data))
    except orjson.JSONDecodeError:  # a number in it is larger than any
        choice = None
    return replace(answer, message=choice["message"] if choice else {})


def usual(body: bytes, price: Price, expert: str, timing: Timing) -> Answer | None:
    """A plain answer as almost all servers write it, its message unread; any other is looked at key by key."""
    try:
        if not body.isascii():
            body.decode()  # what is not looked at is UTF-8, too
        plain = _decoded(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    choice, told = plain.choices[0], plain.usage
    if told.prompt_tokens_details or told.completion_tokens_details:
        usage = _read(told)
        return Answer(expert, UNREAD, choice.finish_reason, usage, price.tokens(usage), timing, body)
    prompt, completion = told.prompt_tokens, told.completion_tokens
    fresh, said, tokens = price.least
    cost = -(-(prompt * fresh + completion * said) // tokens)
    return Answer(expert, UNREAD, choice.finish_reason, Usage(prompt, completion), cost, timing, body)


def _read(told: _Usage) -> Usage:
    prompt, completion = told.prompt_tokens_details, told.completion_tokens_details
    if prompt or completion:
        return detailed(told.prompt_tokens, told.completion_tokens, prompt, completion)
    return Usage(told.prompt_tokens, told.completion_tokens)


NONE: Set[int] = frozenset()
FIRST: Set[int] = frozenset({0})


class Progress:
    """How far one answer has come."""

    over = False
    """Whether an event said that nothing follows; in chat that is no event's to say."""
    begun = False
    _told = False
    _usage: Usage | None = None
    _open = _finished = NONE
    """The choices that have begun and not ended, and those that have."""

    def __init__(self, price: Price, counted: bool = False) -> None:
        """`counted`: we have asked for the usage with every event, and clients are to see none of that."""
        self._price, self._counted = price, counted

    @property
    def whole(self) -> bool:
        """Whether every choice that began has ended with a finish_reason."""
        return bool(self._finished) and not self._open

    def cost(self, usage: Usage | None) -> int | None:
        """Nano-dollars, or None if they cannot be known."""
        price = self._price
        if not (price.prompt or price.completion or price.per_token):
            return 0
        if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        return price.tokens(usage)

    def take(self, payload: dict[str, Any], data: bytes) -> Chunk:
        """The chunk of one event. The usage that comes alone after the end carries the cost."""
        self.begun = True
        self._note(payload.get("choices"))
        usage = parse_usage(payload.get("usage"))
        self._usage = usage or self._usage
        choice = first_choice(payload)
        if choice is None:
            self._told = self.whole and usage is not None
            return Chunk({}, None, usage, self.cost(usage) if self._told else None, data)
        delta = choice.get("delta")
        if self._counted and payload.pop("usage", None) is not None:
            data = orjson.dumps(payload)
        return Chunk(delta if isinstance(delta, dict) else {}, choice.get("finish_reason"), usage, None, data)

    def quickly(self, data: bytes) -> Chunk | None:
        """The same for an event of one choice, or of the usage alone, as almost all servers write it; any other is
        looked at key by key."""
        try:
            if not data.isascii():
                data.decode()  # what is not looked at is UTF-8, too
            event = _decoded_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        choices, told = event.choices, event.usage
        if told is not None and self._counted:
            return None
        if not choices:
            return self._alone(told, data)
        choice = choices[0]
        reason = choice.finish_reason
        self.heard(reason)
        if told is None:
            return Chunk(choice.delta, reason, None, None, data)
        self._usage = usage = _read(told)
        return Chunk(choice.delta, reason, usage, None, data)

    def heard(self, reason: str | None) -> None:
        """An event of the first choice alone, which has ended if it has a reason."""
        self.begun = True
        if reason:
            self._open, self._finished = self._open - FIRST, self._finished | FIRST
        elif not self._open and not self._finished:
            self._open = FIRST
        elif 0 not in self._finished:
            self._open |= FIRST

    def alone(self, data: bytes) -> tuple[Usage, int | None] | None:
        """The usage of an event that tells nothing else, and the cost if it is told at the end; `None` for any other
        event, of which nothing is noted."""
        try:
            event = _decoded_event(data) if data.isascii() else None
        except (msgspec.DecodeError, RecursionError):
            return None
        if event is None or event.choices or event.usage is None:
            return None
        self.begun, self._told, told = True, bool(self._finished) and not self._open, event.usage
        if told.prompt_tokens_details or told.completion_tokens_details:
            self._usage = usage = _read(told)
            return usage, self.cost(usage) if self._told else None
        prompt, completion = told.prompt_tokens, told.completion_tokens
        self._usage = usage = Usage(prompt, completion)
        fresh, said, tokens = self._price.least
        return usage, -(-(prompt * fresh + completion * said) // tokens) if self._told else None

    def _alone(self, told: _Usage | None, data: bytes) -> Chunk:
        """The chunk of an event without a choice."""
        self.begun, self._told = True, False
        if told is None:
            return Chunk({}, None, None, None, data)
        self._usage = usage = _read(told)
        self._told = self.whole
        return Chunk({}, None, usage, self.cost(usage) if self._told else None, data)

    def _note(self, choices: Any) -> None:
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                index = choice.get("index", 0)
                if choice.get("finish_reason"):
                    self._open, self._finished = self._open - {index}, self._finished | {index}
                elif index not in self._finished:
                    self._open |= {index}

    def end(self) -> None:
        """The stream is over. Raises ExpertError unless the answer is whole."""
        if not self.begun:
            raise broken("it answered nothing")
        if not self.whole:
            raise self.broken_off("no finish_reason came")

    def rest(self) -> Chunk | None:
        """What is left to tell of a whole answer: its usage and cost, if no event carried them."""
        if self._told or not self.whole:
            return None
        return Chunk({}, None, self._usage, self.cost(self._usage))

    def failed(self, error: ExpertError) -> ExpertError:
        """The error, or what it means once the answer has begun."""
        return self.broken_off(str(error)) if self.begun else error

    def broken_off(self, why: str) -> BrokenOff:
        cost = self.cost(self._usage)
        about = {} if cost is None else {"cost": cost}
        return BrokenOff(f"the answer broke off: {why}", status=502, code="upstream_broken_off", **about)
