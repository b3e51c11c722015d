"""Goes on with a streamed answer that broke off: other experts say the rest, so that nothing is lost or repeated."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from experts.base import CHAT, Chunk, ExpertError, Request
from experts.card import Usage
from experts.catalog import Catalog
from experts.continuation import Joint
from gateway.call import Call, durable
from gateway.errors import APIError
from gateway.life import Life
from gateway.tally import Tally
from policies.base import Ask

LIMITS = ("max_tokens", "max_completion_tokens")


async def resumed(life: Life, tally: Tally, error: ExpertError) -> AsyncGenerator[Chunk]:
    """The chunks that follow what was said before `error`; raises it if nobody can go on. The failure is already in
    the life's outcomes."""
    if not (life.school.continues and continuable(life.request, tally)):
        raise error
    used = tally.counted()
    before = Before("".join(tally.said), used.completion_tokens or 0, used.prompt_tokens or 0)
    while (call := await before.ask(life)) is not None:
        try:
            async with aclosing(before.follow(call)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except ExpertError as next_error:
            life.outcomes += (call.tally.failure(next_error),)
    raise error


def continuable(request: Request, tally: Tally) -> bool:
    """Whether an answer is one text and nothing else, and is to be nothing else."""
    options = request.options
    form = options.get("response_format") or {"type": "text"}
    single = options.get("n") in (None, 1) and not options.get("logprobs")
    text = isinstance(form, dict) and form.get("type") == "text" and not options.get("audio")
    return single and text and tally.plain and tally.last.dialect == CHAT and not request.untold


def in_chat(request: Request) -> Request:
    """The request as an expert takes it that goes on with an answer in chat's form."""
    return request if request.native is None else replace(request, dialect=CHAT, native=None)


def repeats(request: Request) -> bool:
    """Whether the client asked for an answer that comes out the same each time."""
    return request.options.get("temperature") == 0 or request.options.get("seed") is not None


class Before:
    """What the client has of an answer that broke off, perhaps more than once."""

    def __init__(self, said: str, tokens: int, prompt_tokens: int) -> None:
        self.said, self.tokens, self.prompt_tokens = said, tokens, prompt_tokens
        self.unable: set[str] = set()
        """Those that refused to go on; they may still say it all again."""
        self.again = False

    async def ask(self, life: Life) -> Call | None:
        """The next expert at work; `None` when nobody is left. Raises LedgerUnavailable."""
        for again in (False, True):
            outcomes = tuple(each for each in life.outcomes if not (again and each.expert in self.unable))
            able = self.able(life, again, {each.expert for each in outcomes})
            try:
                decision = life.resume(able, outcomes) if able else None
            except APIError:  # beyond the budget
                decision = None
            if isinstance(decision, Ask):
                await durable(life.recorded)
                self.again = again
                name = decision.experts[0]
                return Call(life, life.school.experts[name], self.request(life, name))
        return None

    def able(self, life: Life, again: bool, tried: set[str]) -> Catalog:
        """Who can go on with what was said; or say it all `again`, if that may come out the same."""
        spoken = {name: card for name, card in life.catalog.items() if CHAT in card.dialects}
        left = {name: card for name, card in spoken.items() if name not in tried}
        if again:
            return left if repeats(life.request) else {}
        return {name: card for name, card in left.items() if self.continuation(life, name) is not None}

    def continuation(self, life: Life, name: str) -> Request | None:
        """The request for the rest. Templates drop white space at the end of a message, so we do."""
        begun = self.said.rstrip()
        if not begun:
            return in_chat(life.request)
        make = getattr(life.school.experts[name], "continuation", None)
        made: Request | None = make and make(life.request, begun)
        return made

    def request(self, life: Life, name: str) -> Request:
        """What an expert is asked, with as many tokens left as there are."""
        request = None if self.again else self.continuation(life, name)
        if request is None:
            return in_chat(life.request)
        limits = {key: max(1, request.options[key] - self.tokens) for key in LIMITS if request.options.get(key)}
        return replace(request, options={**request.options, **limits}) if limits else request

    async def follow(self, call: Call) -> AsyncGenerator[Chunk]:
        """What the expert says that is new. Raises ExpertError."""
        known = self.said if self.again else self.said[len(self.said.rstrip()) :]
        joint, told, name = Joint(known, self.again), False, call.tally.expert.name
        async with aclosing(call.rest([])) as chunks:
            try:
                async for chunk in chunks:
                    new = self.new(chunk, joint)
                    if new.delta or new.finish_reason or new.usage:
                        yield new if told else replace(new, continued_by=name)
                        told = True
            except ExpertError as error:
                refused = error.reason == "rejected" and not self.again
                (self.unable.add if refused else self.unable.discard)(name)
                await call.failed(error)
                raise

    def new(self, chunk: Chunk, joint: Joint) -> Chunk:
        """A chunk of ours: the text that is new, and counts as if one expert had said it all."""
        delta = {key: value for key, value in chunk.delta.items() if key != "role" and value}
        if isinstance(text := delta.get("content"), str):
            delta["content"] = joint.take(text)
            self.said += delta["content"]
            if not delta["content"]:
                del delta["content"]
        if chunk.finish_reason:
            joint.end()
        return Chunk(delta, chunk.finish_reason, chunk.usage and self.counted(chunk.usage), chunk.cost)

    def counted(self, usage: Usage) -> Usage:
        """The tokens that were said before are part of this expert's prompt and of the client's answer."""
        if self.again or usage.prompt_tokens is None or usage.completion_tokens is None:
            return usage
        moved = min(self.tokens, max(0, usage.prompt_tokens - self.prompt_tokens))
        return replace(
            usage,
            prompt_tokens=usage.prompt_tokens - moved,
            completion_tokens=usage.completion_tokens + moved,
            estimated=True,
        )
