"""A small outcome table with something to learn in it, and the real encoder."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from routers.encoders import MiniLM
from routers.outcomes import Outcomes

collect_ignore = [] if importlib.util.find_spec("routellm") else ["test_routellm_real.py"]
STATE = Path(__file__).parents[2] / "state"
TOPICS = ("maths", "code", "chat")
WORDS = {"maths": "add 3 and 4 =", "code": "def f(x): return x;", "chat": "tell me a story about the sea"}
DIMENSIONS = 8


def table(prompts=120, seed=0):
    """Three topics, three experts that are each good at one, a fourth that was asked a third of the prompts; the
    dearer the better on average. The vector of a prompt says its topic, with noise."""
    random = np.random.default_rng(seed)
    topics = random.integers(0, len(TOPICS), prompts)
    chance = np.full((prompts, 4), 0.3)
    chance[np.arange(prompts), topics] = 0.95
    score = (random.random((prompts, 4)) < chance).astype(float)
    score[random.random(prompts) > 0.4, 3] = np.nan
    cost = np.exp(random.normal([5.0, 6.0, 7.0, 8.0], 0.3, (prompts, 4)))
    cost[np.isnan(score)] = np.nan
    seconds = np.where(np.isnan(score), np.nan, 0.5)
    seconds[:, 2] = np.nan
    vectors = random.normal(0, 0.3, (prompts, DIMENSIONS))
    vectors[np.arange(prompts), topics] += 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = tuple(TOPICS[topic] for topic in topics)
    outcomes = Outcomes(
        prompts=tuple(f"{WORDS[name]} {i}" for i, name in enumerate(names)),
        groups=tuple(str(i) for i in range(prompts)),
        domains=names,
        splits=("train",) * prompts,
        experts=("maths", "code", "chat", "rare"),
        score=score,
        cost=cost,
        prompt_tokens=np.full((prompts, 4), 10.0),
        completion_tokens=np.full((prompts, 4), 50.0),
        seconds=seconds,
    )
    return outcomes, vectors.astype(np.float32)


@pytest.fixture(scope="session")
def learned_from():
    return table()


@pytest.fixture(scope="session")
def encoder():
    return MiniLM(str(STATE / "encoder"), str(STATE / "weights"))
