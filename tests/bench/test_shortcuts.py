"""What shortcuts lose is measured as the gateway takes them."""

from __future__ import annotations

import numpy as np

from bench.data import DataSet
from bench.frontier import Predictions, choose
from bench.shortcuts import loss, sure
from experts.base import Request
from gateway import words
from policies.base import State
from policies.pick import Utility
from routers.base import Estimate
from tests.routers.conftest import table


def test_a_lead_is_sure_here_exactly_where_the_gateway_is_sure():
    random = np.random.default_rng(0)
    quality, std = random.random((200, 3)), random.uniform(0.0, 0.3, (200, 3))
    quality = 0.4 + 0.6 * quality  # far enough from 0 that a doubt is not cut off there
    leads = sure(Predictions(quality, std, np.full((200, 3), 10.0)), 1e9)
    for row, lead in enumerate(leads):
        estimates = {str(i): Estimate(str(i), quality[row, i], std[row, i], 10, 10, 1.0) for i in range(3)}
        state = State(Request(()), estimates)
        assert words.sure(Utility(usd_per_quality=1.0), state) == (lead > words.MARGIN)


def test_a_shortcut_that_chooses_the_same_loses_nothing():
    outcomes, _ = table()
    full = outcomes.only(("maths", "code", "chat"))
    given = DataSet("made", full, full)
    known = Predictions(full.score, full.score * 0.0, full.cost)
    best = choose(known, 1e18)

    same, worst = loss(given, 1e18, "same", best, best), loss(given, 1e18, "worst", full.score.argmin(1), best)
    assert (same.change.value, same.change.low, same.change.high) == (0.0, 0.0, 0.0)
    assert worst.change.high < 0.0
