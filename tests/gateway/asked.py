"""Experts that are asked in a clock's time, as far as their health looks at it."""

from __future__ import annotations

from types import SimpleNamespace

from experts.base import Answer, Failure, Request, Timing, Unavailable
from experts.card import Usage
from experts.catalog import Demand
from gateway.crowds import REFUSALS
from gateway.health import Health

SPARE = ["b", "c", "d"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """What is looked at of an expert that is being asked: a stream or a plain answer, begun now."""

    def __init__(self, health: Health, name: str = "a", stream: bool = False) -> None:
        request = Request((), {"stream": stream})
        self.expert = SimpleNamespace(name=name)
        self.life = SimpleNamespace(request=request, demand=Demand.of(request), stream=stream)
        self.health, self.started, self.first = health, health.clock(), None
        health.asked(self)  # type: ignore[arg-type] # as much of a Tally as is looked at

    def ends(self, outcome) -> None:
        self.health.ended(self, outcome)  # type: ignore[arg-type] # the same

    def answers(self, after: float, tokens: int = 100) -> None:
        """The clock is not moved: others are asked meanwhile."""
        self.ends(Answer(self.expert.name, {}, "stop", Usage(0, tokens), timing=Timing(after, after)))

    def fails(self, **about) -> None:
        self.ends(Failure(self.expert.name, "unavailable", error=Unavailable("down", **about)))


def out(health: Health) -> list[str]:
    return sorted(health.left_out(["a", *SPARE]))


def crowd(health: Health, seats: int, refusals: int = REFUSALS) -> list[Asked]:
    """An expert with so many seats, all taken, which has refused some."""
    seated = [Asked(health) for _ in range(seats)]
    for _ in range(refusals):
        Asked(health).fails(status=503)
    return seated
