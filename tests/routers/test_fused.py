"""The quick way tells what the common way tells."""

from typing import Any

import numpy as np
import pytest

from routers.fit import train
from routers.inputs import Inputs


def one(prompt, vector):
    return Inputs((prompt,), (len(prompt),), vector.reshape(1, -1))


@pytest.mark.parametrize("prompt", ["", "add 3 and 4 =", "def f(x):\n  return 1", "où? " * 400, "sea sea sea\nA, B, C"])
def test_one_prompt_is_told_as_in_a_batch(learned_from, prompt):
    outcomes, vectors = learned_from
    router = train(outcomes, vectors)
    assert router._fused is not None
    told = router.told(one(prompt, vectors[0]))
    plain = one(prompt, vectors[0])
    common: list[Any] = [*router.quality.predict(plain), *router.costs.predict(plain)]
    for quick, usual, millionths in zip(told, common, (1, 1, 10, 10, 10), strict=True):
        assert quick == pytest.approx(usual[0], rel=millionths * 1e-6, abs=1e-6)
        assert np.isfinite(quick).all()


def test_other_heads_take_the_common_way(learned_from):
    outcomes, vectors = learned_from
    linear = train(outcomes, vectors, "routers.linear:Linear")
    assert linear._fused is None
    few = train(outcomes, vectors, options={"heads": ["routers.domain:Domains", "routers.linear:Linear"]})
    assert few._fused is None
    assert len(few.told(one("sea", vectors[0]))) == 5
