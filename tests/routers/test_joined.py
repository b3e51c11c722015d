"""A new expert joins from probes of its own; the others stay as they are."""

from dataclasses import replace

import numpy as np
import pytest

from experts.base import Request, SetupError
from experts.card import Card
from routers.fit import load_router, train
from routers.inputs import inputs
from routers.joined import join
from routers.saved import save
from tests.routers.conftest import table


@pytest.fixture(scope="module")
def parts():
    """A router of three experts, and probes of a fourth that is good where `code` is, at half the price."""
    outcomes, vectors = table(400)
    known = train(outcomes.only(["maths", "code", "chat"]), vectors)
    probes, seen = table(200, seed=1)
    right = np.random.default_rng(2).random(200) < np.where(np.array(probes.domains) == "code", 0.95, 0.1)
    probes = replace(
        probes.only(["code"]), experts=("new",), score=right.astype(float)[:, None], cost=probes.only(["code"]).cost / 2
    )
    return known, probes, seen


def test_the_others_are_told_as_before_and_the_newcomer_where_it_is_good(parts):
    known, probes, seen = parts
    joined = join(known, probes, seen)
    before, after = (router.quality.predict(inputs(probes.prompts, seen))[0] for router in (known, joined))
    assert after[:, :3] == pytest.approx(before)
    code = np.array(probes.domains) == "code"
    assert after[code, 3].mean() > 0.75
    assert after[~code, 3].mean() < 0.3
    assert joined.costs.predict(inputs(probes.prompts, seen))[0][:, 3].mean() == pytest.approx(
        probes.cost.mean(), rel=0.3
    )


@pytest.mark.parametrize("head", ["routers.blend:Blend", "routers.clusters:Clusters", "routers.knn:Nearest"])
def test_it_is_saved_loaded_and_estimated_like_any_other(parts, head, tmp_path):
    _, probes, seen = parts
    outcomes, vectors = table(400)
    joined = join(train(outcomes.only(["maths", "code", "chat"]), vectors, head), probes, seen)
    save(tmp_path, joined, {})
    names = (*joined.experts, "other")
    request = Request(({"role": "user", "content": probes.prompts[0]},), embedding=seen[0])
    told = load_router(tmp_path).estimate(request, {name: Card() for name in names}, ())
    assert list(told) == list(names)
    assert told["new"] == joined.estimate(request, {"new": Card()}, ())["new"]
    assert told["new"].usual == pytest.approx(probes.score.mean(), abs=0.05)


def test_a_second_newcomer_joins_the_first(parts):
    known, probes, seen = parts
    twice = join(join(known, probes, seen), replace(probes, experts=("newer",)), seen)
    assert twice.experts == ("maths", "code", "chat", "new", "newer")
    assert twice.quality.predict(inputs(probes.prompts[:3], seen[:3]))[0].shape == (3, 5)


def test_too_few_probes_and_a_known_expert_are_refused(parts):
    known, probes, seen = parts
    with pytest.raises(SetupError, match="20 probes"):
        join(known, probes.rows(range(19)), seen[:19])
    with pytest.raises(SetupError, match="lyceum fit"):
        join(known, replace(probes, experts=("code",)), seen)
