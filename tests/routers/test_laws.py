"""Laws of every router, for any catalog, text and vector."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experts.base import Request
from experts.card import Card, Price
from routers.base import Router
from routers.fit import train
from routers.learned import Learned
from routers.prior import STD
from routers.simple import Cards, Random, Rules
from tests.routers.conftest import DIMENSIONS, table

HEADS = (
    *("routers.simple:Constant", "routers.knn:Nearest", "routers.domain:Domains", "routers.clusters:Clusters"),
    *("routers.linear:Linear", "routers.mf:Factors", "routers.memory:Memory", "routers.blend:Blend"),
)
OUTCOMES, VECTORS = table()
LEARNED: dict[str, Learned] = {head: train(OUTCOMES, VECTORS, head, encoder="toy") for head in HEADS}
ROUTERS: dict[str, Router] = LEARNED | {
    "cards": Cards(),
    "random": Random(seed=1),
    "rules": Rules([{"match": "a", "expert": "maths", "quality": 0.9}, {"match": "", "expert": "b", "quality": 0.1}]),
}
NAMES = st.sampled_from(["maths", "code", "chat", "rare", "b"]) | st.text(max_size=8)
PRICES = st.builds(Price, *[st.floats(0, 1e4)] * 2, cached=st.none(), cpu_hour=st.floats(0, 100))
CARDS = st.builds(Card, max_output=st.none() | st.integers(1, 10**6), price=PRICES)
TEXT = st.text(st.characters(), max_size=300) | st.text("def 1+2 {}\n?", max_size=50)
NUMBERS = st.floats(width=32) | st.just(0.0)
EMBEDDINGS = st.none() | st.lists(NUMBERS, max_size=DIMENSIONS + 1).map(lambda row: np.array(row, np.float32))
FULL = st.lists(st.floats(-1, 1, width=32), min_size=DIMENSIONS, max_size=DIMENSIONS)
ROWS = FULL.map(lambda row: np.array(row, np.float32))


def request(text, embedding=None):
    return Request(({"role": "user", "content": text},), embedding=embedding)


@pytest.mark.parametrize("name", ROUTERS)
@settings(max_examples=60, deadline=None)
@given(catalog=st.dictionaries(NAMES, CARDS, max_size=6), text=TEXT, embedding=EMBEDDINGS | ROWS)
def test_every_router_is_total_finite_and_in_bounds(name, catalog, text, embedding):
    estimates = ROUTERS[name].estimate(request(text, embedding), catalog, ())
    assert list(estimates) == list(catalog)
    for expert, estimate in estimates.items():
        assert estimate.expert == expert
        assert 0.0 <= estimate.quality <= 1.0
        assert 0.0 <= estimate.std < math.inf
        assert 0 <= estimate.cost <= estimate.cost_high
        assert type(estimate.cost) is type(estimate.cost_high) is int
        assert 0.0 <= estimate.latency < math.inf


@pytest.mark.parametrize("name", ROUTERS)
@settings(max_examples=20, deadline=None)
@given(text=TEXT, embedding=ROWS)
def test_every_router_says_the_same_twice(name, text, embedding):
    catalog = {"maths": Card(), "code": Card(), "new": Card()}
    first, second = (ROUTERS[name].estimate(request(text, embedding), catalog, ()) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ROUTERS)
def test_a_catalog_without_experts_has_no_estimates(name):
    assert ROUTERS[name].estimate(request("hello"), {}, ()) == {}


@pytest.mark.parametrize("name", ROUTERS)
def test_a_request_without_messages_is_estimated(name):
    assert set(ROUTERS[name].estimate(Request(()), {"maths": Card()}, ())) == {"maths"}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("bad", [None, np.full(DIMENSIONS, np.nan), np.zeros(DIMENSIONS), np.ones(3), np.ones((2, 8))])
def test_without_a_usable_vector_the_estimate_is_the_record_of_the_expert(head, bad):
    """row 39: a dead encoder, NaN vectors, vectors of another dimension."""
    router = LEARNED[head]
    estimates = router.estimate(request("add 3 and 4", bad), {"maths": Card(), "rare": Card()}, ())
    assert estimates["maths"].quality == router.blind.quality[0]
    assert estimates["rare"].cost == int(np.nanmedian(OUTCOMES.cost[:, 3]))


@pytest.mark.parametrize("head", HEADS)
def test_an_unknown_expert_is_like_the_others_with_a_wide_doubt_at_the_price_of_its_card(head):
    card = Card(price=Price(1.0, 2.0), max_output=100)
    estimates = ROUTERS[head].estimate(request("a" * 400, VECTORS[0]), {"maths": Card(), "new": card}, ())
    assert estimates["new"].std == STD
    assert estimates["new"].quality == pytest.approx(LEARNED[head].blind.quality.mean())
    assert estimates["new"].cost == 101 * 1000 + 100 * 2000
