"""The memory finds its way from the domain to past prompts, and learns which of its associations to believe."""

import numpy as np
import pytest

from routers.inputs import inputs
from routers.memory import Memory, Store
from routers.tree import Tree
from tests.routers.conftest import DIMENSIONS, table


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def subjects():
    """Two domains of two kinds of prompts each; in each kind one of three experts wins."""
    random = np.random.default_rng(0)
    kind = random.integers(0, 4, 400)
    centres = np.zeros((4, DIMENSIONS))
    centres[[0, 1, 2, 3], [0, 0, 1, 1]] = 1.0
    centres[[0, 1, 2, 3], [2, 3, 4, 5]] = 0.7
    vectors = unit(centres[kind] + random.normal(0, 0.05, (400, DIMENSIONS)))
    score = np.full((400, 3), 0.2)
    score[np.arange(400), np.array([0, 1, 2, 0])[kind]] = 0.9
    return vectors, score, [("law", "code")[one // 2] for one in kind], kind


def test_a_prompt_stirs_its_domain_and_within_it_its_skill(subjects):
    vectors, _, domains, _ = subjects
    tree = Tree.fit(vectors, domains)
    domain, skill = tree.active(vectors)
    assert domain.sum(1) == pytest.approx(1.0, abs=1e-5)
    assert skill.sum(1) == pytest.approx(1.0, abs=1e-5)
    names = list(dict.fromkeys(domains))
    assert [names[tree.parent[one]] for one in skill.argmax(1)] == domains


def test_skills_tell_apart_what_a_domain_mixes(subjects):
    vectors, score, domains, _ = subjects
    recall = Store.fit(vectors, score, domains).recall(vectors)
    best = score.argmax(1)
    assert (recall.skill.argmax(1) == best).mean() > 0.99 > (recall.domain.argmax(1) == best).mean()


def test_past_prompts_count_where_they_tell_what_will_happen_and_not_where_they_are_noise():
    random = np.random.default_rng(1)
    vectors = unit(random.normal(size=(300, DIMENSIONS)))
    again = unit(vectors + random.normal(0, 0.02, vectors.shape))
    luck = (random.random((300, 4)) < 0.5).astype(float)
    noise = (random.random((600, 4)) < 0.5).astype(float)
    prompts = [str(i) for i in range(600)]
    seen = inputs(prompts, np.concatenate([vectors, again]), prompts)
    telling = Memory.fit(seen, np.concatenate([luck, luck]), ["all"] * 600)
    silent = Memory.fit(seen, noise, ["all"] * 600)
    assert telling.gaps[2] > 2 * silent.gaps[2]
    told = [head.predict(seen)[0][:300].ravel() for head in (telling, silent)]
    assert np.corrcoef(told[0], luck.ravel())[0, 1] > 0.6
    assert np.ptp(told[1]) < np.ptp(told[0]) / 2


def test_duplicates_of_one_group_never_vouch_for_each_other():
    """The same scores twice, but each pair in a group: held out together, they teach nothing."""
    random = np.random.default_rng(2)
    vectors = unit(random.normal(size=(150, DIMENSIONS)))
    luck = (random.random((150, 4)) < 0.5).astype(float)
    prompts, groups = [str(i) for i in range(300)], [str(i % 150) for i in range(300)]
    seen = inputs(prompts, np.concatenate([vectors, vectors]), groups)
    assert Memory.fit(seen, np.concatenate([luck, luck]), ["all"] * 300).gaps.max() < 0.3


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_memory_of_few_prompts_is_finite(count):
    outcomes, vectors = table(prompts=count)
    head = Memory.fit(inputs(outcomes.prompts, vectors, outcomes.groups), outcomes.score, outcomes.domains)
    quality, std = head.predict(inputs(outcomes.prompts, vectors))
    assert np.isfinite(quality).all()
    assert np.isfinite(std).all()
    assert (std > 0).all()
