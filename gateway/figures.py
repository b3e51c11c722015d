"""What all workers have counted together: the newest figures of each, and of those that ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.metrics import Metrics

State = Mapping[str, list[Any]]


class Figures:
    """Kept by the parent. Each worker tells its own once a second and when somebody asks it for the page, so that
    a page never shows less than one before it."""

    def __init__(self) -> None:
        self.ended = Metrics()
        self.told: dict[object, State] = {}

    def tell(self, worker: object, state: State) -> None:
        """A worker's newest figures."""
        self.told[worker] = state

    def retire(self, worker: object) -> None:
        """The worker ended; what it counted stays."""
        self.ended.add(self.told.pop(worker, {}))

    def total(self) -> State:
        """All of them."""
        whole = Metrics()
        for state in (self.ended.state(), *self.told.values()):
            whole.add(state)
        return whole.state()
