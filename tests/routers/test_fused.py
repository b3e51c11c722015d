"""The quick way tells what the common way tells."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routers.blend import Blend
from routers.fit import train
from routers.inputs import Inputs
from routers.words import TERM, Words, ends, terms


def one(prompt, vector):
    return Inputs((prompt,), (len(prompt),), vector.reshape(1, -1))


@pytest.mark.parametrize("prompt", ["", "add 3 and 4 =", "def f(x):\n  return 1", "où? " * 400, "sea sea sea\nA, B, C"])
def test_one_prompt_is_told_as_in_a_batch(learned_from, prompt):
    outcomes, vectors = learned_from
    router = train(outcomes, vectors)
    assert router._fused is not None
    told: list[Any] = [*router.told(one(prompt, vectors[0]))]
    plain = one(prompt, vectors[0])
    common: list[Any] = [*router.quality.predict(plain), *router.costs.predict(plain)]
    whole = 1.0  # nano-dollars are rounded down
    far = ((1e-6, 1e-6), (1e-6, 1e-6), (1e-5, whole), (1e-5, whole), (1e-5, 1e-6))
    for quick, usual, (rel, least) in zip(told, common, far, strict=True):
        assert quick == pytest.approx(usual[0].tolist(), rel=rel, abs=least)
        assert np.isfinite(quick).all()


def test_other_heads_take_the_common_way(learned_from):
    outcomes, vectors = learned_from
    linear = train(outcomes, vectors, "routers.linear:Linear")
    assert linear._fused is None
    few = train(outcomes, vectors, options={"heads": ["routers.domain:Domains", "routers.linear:Linear"]})
    assert few._fused is None
    assert len(few.told(one("sea", vectors[0]))) == 5


def test_what_nearly_overflows_takes_the_common_way(learned_from):
    outcomes, vectors = learned_from
    router = train(outcomes, vectors)
    blend = router.quality
    assert isinstance(blend, Blend)
    domains, *others = blend.heads
    steep = replace(domains, coefficients=domains.coefficients * np.float32(1e4))
    told = replace(router, quality=replace(blend, heads=(steep, *others)))
    assert told._fused is None
    assert np.isfinite(told.told(one("sea", vectors[0]))).all()


@given(st.text())
def test_words_are_the_same_by_the_short_pattern_and_by_the_long_one(prompt):
    assert terms(prompt) == Counter(TERM.findall(ends(prompt).lower()))


def test_words_that_nobody_knows_say_nothing(learned_from):
    outcomes, _ = learned_from
    words = Words.fit([terms(prompt) for prompt in outcomes.prompts])
    for known, prompt in ((words, ""), (words, "où? où?"), (words, "sea sea story ?"), (Words.fit([]), "sea")):
        assert known.one(terms(prompt)) == pytest.approx(known.rows([terms(prompt)])[0], abs=1e-6)
