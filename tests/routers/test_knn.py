"""Neighbours are found among many as among few, and a saved graph is searched as it was built."""

from dataclasses import replace

import numpy as np
import pytest

from experts.base import SetupError
from routers import knn
from routers.inputs import inputs
from routers.knn import Graph, Nearest
from routers.saved import load, save


def unit(count, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def many():
    vectors = unit(knn.GRAPH_FROM)
    score = (vectors[:, :3] > 0).astype(float)
    return Nearest.fit(inputs([""] * len(vectors), vectors), score)


def test_few_prompts_are_all_looked_at():
    assert Graph.of(unit(knn.GRAPH_FROM - 1)) is None


def test_a_graph_finds_nearly_all_of_the_nearest_and_what_they_say(many):
    assert many.graph is not None
    all_of_them = replace(many, graph=None)
    asked = unit(200, seed=1)
    cosine, place = many.near(asked)
    truth = all_of_them.near(asked)
    found = np.mean([np.isin(row, near).mean() for near, row in zip(place, truth[1], strict=True)])
    assert found > 0.97
    assert (np.diff(cosine, axis=1) <= 0).all()
    shown = inputs([""] * len(asked), asked)
    assert many.predict(shown)[0] == pytest.approx(all_of_them.predict(shown)[0], abs=0.05)


def test_a_saved_graph_finds_what_it_found(many, tmp_path):
    save(tmp_path, many, {})
    loaded, _ = load(tmp_path)
    asked = unit(50, seed=2)
    for before, after in zip(many.near(asked), loaded.near(asked), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    "damage",
    [
        {"entry": -1},
        {"entry": knn.GRAPH_FROM},
        {"levels": np.zeros(knn.GRAPH_FROM, np.int32)},
        {"levels": np.ones(3, np.int32)},
        {"neighbours": np.zeros(7, np.int32)},
    ],
)
def test_a_damaged_graph_is_named_with_the_mend(many, damage):
    """row 39: a corrupt file of the router."""
    with pytest.raises(SetupError, match="lyceum fit"):
        replace(many.graph, **damage).index(many.vectors)


@pytest.mark.parametrize("far", [-2, knn.GRAPH_FROM])
def test_a_neighbour_that_does_not_exist_is_never_followed(many, far):
    neighbours = many.graph.neighbours.copy()
    neighbours[5] = far
    with pytest.raises(SetupError, match="damaged"):
        replace(many.graph, neighbours=neighbours).index(many.vectors)


def test_a_neighbour_that_is_not_on_that_level_is_never_followed(many):
    levels, width = many.graph.levels, many.graph.width
    upper = width * int((levels[: many.graph.entry].astype(int) + 1).sum()) + 2 * width
    neighbours = many.graph.neighbours.copy()
    neighbours[upper] = levels.argmin()
    with pytest.raises(SetupError, match="damaged"):
        replace(many.graph, neighbours=neighbours).index(many.vectors)
