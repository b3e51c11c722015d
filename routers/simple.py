"""Routers that look at little: the record alone, rules the operator wrote, the card, or a hash of the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from experts.base import Outcome, Request, text
from experts.catalog import Catalog
from routers.base import Estimate, Estimates
from routers.blind import shrunk
from routers.inputs import Inputs
from routers.prior import estimate as prior_estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Constant:
    """The head that ignores the prompt: each expert's mean score, with its standard error, shape (M,)."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def fit(cls, inputs: Inputs, score: NDArray[np.float64], domains: Sequence[str] = ()) -> Constant:
        import numpy as np

        mean, std = shrunk(score)
        return cls(mean.astype(np.float32), std.astype(np.float32))

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        shape = (len(inputs), len(self.mean))
        return np.broadcast_to(self.mean, shape), np.broadcast_to(self.std, shape)


class Cards:
    """Knows nothing but the cards: what a gateway starts with that has no record yet."""

    by_length = True
    """Prompts of the same length have the same estimates."""

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome] = ()) -> Estimates:
        length = characters(request)
        return {name: prior_estimate(name, card, length) for name, card in catalog.items()}


class Random:
    """Quality is a hash of the prompt and the expert's name: random, yet the same each time."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome] = ()) -> Estimates:
        known = Cards().estimate(request, catalog)
        return {name: estimate._replace(quality=self._quality(request, name)) for name, estimate in known.items()}

    def _quality(self, request: Request, name: str) -> float:
        key = f"{self.seed}\0{name}\0{request.prompt}".encode("utf-8", "replace")
        return int.from_bytes(blake2b(key, digest_size=6).digest()) / (1 << 48)


class Rules:
    """What the operator believes: of the rules whose `match` (a regular expression) is found in the prompt, the
    first that names an expert tells its `quality`; an expert that no rule names keeps the guess from its card."""

    STD = 0.1

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        """Each rule: {"match": "prove|theorem", "expert": "logic", "quality": 0.9}. Raises ValueError."""
        self.rules = [_rule(rule, place) for place, rule in enumerate(rules)]

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome] = ()) -> Estimates:
        prompt = request.prompt
        told: dict[str, float] = {}
        for pattern, expert, quality in self.rules:
            if expert in catalog and expert not in told and pattern.search(prompt):
                told[expert] = quality
        known = Cards().estimate(request, catalog)
        return {name: self._estimate(estimate, told.get(name)) for name, estimate in known.items()}

    def _estimate(self, known: Estimate, quality: float | None) -> Estimate:
        return known if quality is None else known._replace(quality=quality, std=self.STD)


def _rule(rule: dict[str, Any], place: int) -> tuple[re.Pattern[str], str, float]:
    unknown = rule.keys() ^ {"match", "expert", "quality"}
    if unknown:
        raise ValueError(
            f"rule {place}: needs match, expert and quality, no more; look at {', '.join(sorted(unknown))}"
        )
    if not 0.0 <= rule["quality"] <= 1.0:
        raise ValueError(f"rule {place}: quality is {rule['quality']}, not in [0, 1]")
    try:
        return re.compile(rule["match"], re.IGNORECASE), rule["expert"], float(rule["quality"])
    except re.error as error:
        raise ValueError(f"rule {place}: match is no regular expression: {error}") from error


def characters(request: Request) -> int:
    """Of all messages of a request."""
    return sum(len(text(message.get("content"))) for message in request.messages)
