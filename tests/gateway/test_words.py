"""Deciding by words alone: only where one expert leads clearly, and never at a loss that can be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experts.base import Request
from experts.card import Card
from gateway.words import Words, sure
from policies.base import State
from policies.ensemble import Ensemble
from policies.pick import Utility
from routers.base import Estimate
from routers.fit import train_words, word_vector
from tests.gateway.conftest import make_door, scripted, serving
from tests.routers.conftest import table


def state(gap: float, std: float = 0.1) -> State:
    estimates = {
        name: Estimate(name, quality, std, 10, 20, 1.0) for name, quality in (("good", 0.5 + gap), ("poor", 0.5))
    }
    return State(Request(({"role": "user", "content": "hi"},)), estimates)


@pytest.mark.parametrize(("gap", "is_sure"), [(0.3, True), (0.1, False), (0.0, False)])
def test_a_clear_lead_is_sure_and_a_narrow_one_is_not(gap, is_sure):
    assert sure(Utility(usd_per_quality=1.0), state(gap)) is is_sure


def test_more_doubt_is_less_sure():
    assert not sure(Utility(usd_per_quality=1.0), state(0.3, std=0.3))


def test_an_expert_that_is_alone_is_sure():
    alone = state(0.1)
    assert sure(Utility(usd_per_quality=1.0), State(alone.request, {"good": alone.estimates["good"]}))


def test_a_policy_that_asks_several_is_never_sure():
    assert not sure(Ensemble(size=2), state(0.3))


class Counting:
    """An encoder that counts who asks it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, text: str) -> Any:
        self.asked.append(text)
        return np.full(4, 0.5, np.float32)


class Sure:
    """Words that are sure of prompts with `sure` in them."""

    def estimate(self, request: Request, catalog: Any, outcomes: Any) -> dict[str, Estimate]:
        std = 0.01 if "certainly" in request.prompt else 0.9
        return {name: Estimate(name, 0.9 - 0.5 * place, std, 10, 20, 1.0) for place, name in enumerate(catalog)}


async def test_the_encoder_is_asked_only_where_words_are_not_enough(tmp_path):
    door = make_door(tmp_path, [scripted("first", "one"), scripted("second", "two")])
    door.school.encoder = encoder = Counting()
    door.school.words = Words(Sure(), word_vector())
    async with serving(door) as served:
        for text in ("certainly", "perhaps", "certainly", "perhaps"):
            answer = await served.ask(messages=[{"role": "user", "content": text}])
            assert answer.status_code == 200

    whys = [row["why"] for row in served.ledger("decisions")]
    assert encoder.asked == ["perhaps"]
    assert ["words alone" in why for why in whys] == [True, False, True, False]


def test_words_alone_are_learned_from_a_table():
    outcomes, _ = table()
    words = Words(train_words(outcomes), word_vector())
    catalog = {name: Card() for name in outcomes.experts[:3]}
    best = []
    for prompt in ("add 3 and 4 = 7", "def f(x): return x; 8", "tell me a story about the sea 9"):
        request = Request(({"role": "user", "content": prompt},))
        found = words.estimate(request, catalog, ())
        assert words.meant(words.marked(request))
        best.append(max(found.values(), key=lambda each: each.quality).expert)

    assert best == ["maths", "code", "chat"]
