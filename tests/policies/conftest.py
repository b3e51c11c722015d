"""What the tests of policies share: short ways to say a state."""

import pytest
from msgspec.structs import replace

from experts.base import Answer, Failure, Request
from policies.base import State
from routers.base import Estimate


def estimate(name: str, quality: float, dollars: float, std: float = 0.1) -> Estimate:
    """An estimate in dollars; the most it may cost is the same."""
    cost = round(dollars * 1e9)
    return Estimate(name, quality, std, cost, cost, 1.0)


@pytest.fixture
def school():
    """Three experts: small is cheap, large is good, medium is between."""
    made = [estimate("small", 0.5, 0.001), estimate("medium", 0.7, 0.004), estimate("large", 0.9, 0.010)]
    return State(Request(({"role": "user", "content": "What is 6 x 7?"},)), {each.expert: each for each in made})


@pytest.fixture
def after():
    """The same state with more outcomes."""

    def add(state, *outcomes):
        return replace(state, outcomes=(*state.outcomes, *outcomes))

    return add


@pytest.fixture
def says():
    """An answer of an expert."""

    def answer(expert, content="42", finish_reason="stop", cost=None):
        return Answer(expert, {"role": "assistant", "content": content}, finish_reason, cost=cost)

    return answer


@pytest.fixture
def fails():
    """A failure of an expert."""

    def failure(expert, retryable=True, cost=None):
        return Failure(expert, "unavailable" if retryable else "rejected", retryable=retryable, cost=cost)

    return failure


@pytest.fixture
def decide():
    """What a policy decides."""

    def decided(policy, state):
        return policy.decide(state)

    return decided
