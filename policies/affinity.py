"""Keeps a conversation with the expert that answered it last, unless another is clearly better or it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.base import Ask, Decision, Policy, State
from policies.first import First, first
from routers.base import Estimates


@dataclass(frozen=True, slots=True)
class Affinity:
    """While a tool's result is pending the expert stays, whatever others promise; else it stays while the best is
    expected to be better by no more than `margin`. An expert that fails, or is not eligible any more, is let go."""

    inner: Policy
    margin: float = 0.1

    def __post_init__(self) -> None:
        if self.margin < 0:
            raise ValueError("margin must be at least 0")

    def decide(self, state: State) -> Decision:
        mine = state.estimates.get(state.sticky) if state.sticky and not state.outcomes else None
        if mine is None:
            return self.inner.decide(state)
        if pending(state.request.messages):
            return Ask((mine.expert,), last=True, why="stays while a tool's result is pending")
        best = max(each.quality for each in state.estimates.values())
        if best - mine.quality > self.margin:
            return self.inner.decide(state)
        return Ask((mine.expert,), last=True, why="stays with its conversation")

    def first(self, estimates: Estimates) -> First | None:
        """Of a new conversation."""
        return first(self.inner, estimates)


def staying(policy: Policy) -> Policy:
    """The policy with affinity, inside whatever wraps it: a conversation is no reason to leave a budget. One that has
    it already stays as it is."""
    if isinstance(policy, Affinity):
        return policy
    inner = getattr(policy, "inner", None)
    return Affinity(policy) if inner is None else replace(policy, inner=staying(inner))  # type: ignore[type-var] # any wrapper is a dataclass


def pending(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last message is a tool's result, or a call of a tool has no result yet."""
    if messages and messages[-1].get("role") in ("tool", "function"):
        return True
    answered = set()
    for message in reversed(messages):
        if message.get("role") == "tool":
            answered.add(message.get("tool_call_id"))
        elif message.get("role") == "assistant":
            calls = message.get("tool_calls")
            return isinstance(calls, list) and any(_id(call) not in answered for call in calls)
    return False


def _id(call: Any) -> Any:
    return call.get("id") if isinstance(call, dict) else None
