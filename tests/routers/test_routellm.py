"""RouteLLM's routers without RouteLLM: its lack and bad weights are told before anything is routed."""

import os
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from experts.base import SetupError
from experts.build import build
from routers.routellm import KEY, SHAPES, WEIGHTS

TABLE = {"use": "routers.routellm:MatrixFactorization", "weak": "small", "strong": "large"}


@pytest.fixture
def without_routellm(monkeypatch):
    monkeypatch.setitem(sys.modules, "routellm", None)
    monkeypatch.delenv(KEY, raising=False)


@pytest.fixture
def weights(tmp_path):
    save_file({name: np.zeros((4, 3), np.float32) for name in SHAPES}, tmp_path / WEIGHTS)
    return tmp_path


@pytest.mark.parametrize("name", ["MatrixFactorization", "Bert"])
def test_a_missing_extra_is_told_with_its_mend(without_routellm, weights, name):
    (weights / "config.json").write_text("{}")
    with pytest.raises(SetupError, match=r"pip install 'lyceum-gateway\[routellm\]'"):
        build(TABLE | {"use": f"routers.routellm:{name}", "weights": str(weights)}, "router")
    assert KEY not in os.environ


@pytest.mark.parametrize("name", ["MatrixFactorization", "Bert"])
def test_weights_that_are_not_a_local_folder_are_never_looked_up_on_a_hub(name):
    with pytest.raises(SetupError, match="give a local folder"):
        build(TABLE | {"use": f"routers.routellm:{name}", "weights": "routellm/mf_gpt4_augmented"}, "router")


def test_a_damaged_file_of_weights_is_a_setup_error(tmp_path):
    (tmp_path / WEIGHTS).write_bytes(b"123456789")
    with pytest.raises(SetupError, match="is damaged"):
        build(TABLE | {"weights": str(tmp_path)}, "router")


def test_weights_of_something_else_are_a_setup_error(tmp_path):
    save_file({"P.weight": np.zeros((4, 3), np.float32)}, tmp_path / WEIGHTS)
    with pytest.raises(SetupError, match="holds no matrix factorization"):
        build(TABLE | {"weights": str(tmp_path)}, "router")


def test_a_threshold_that_is_no_chance_is_a_setup_error(weights):
    with pytest.raises(SetupError, match="between 0 and 1"):
        build(TABLE | {"weights": str(weights), "threshold": 1.5}, "router")
