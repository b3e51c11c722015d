"""The encoder gives the vectors of sentence-transformers, from any text."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experts.base import SetupError
from routers.encoders import MiniLM, SentenceTransformers

RECORDED = json.loads((Path(__file__).parent / "data" / "minilm.json").read_text())


def test_vectors_equal_those_of_sentence_transformers(encoder):
    ours = encoder.encode(RECORDED["texts"])
    assert np.abs(ours - np.array(RECORDED["vectors"])).max() < 1e-4


def test_int8_vectors_point_the_same_way_and_do_not_hang_on_other_texts(encoder, tmp_path):
    small = MiniLM(str(tmp_path), str(encoder.weights), precision="int8")
    alone = np.concatenate([small.encode([text]) for text in RECORDED["texts"]])
    assert np.array_equal(small.encode(RECORDED["texts"]), alone)
    cosine = (small.encode(RECORDED["texts"]) * encoder.encode(RECORDED["texts"])).sum(1)
    assert cosine.min() > 0.97
    assert sorted(path.name for path in tmp_path.glob("*.onnx*")) == ["all-minilm-l6-v2-int8.onnx"]


def test_two_who_find_no_graph_may_both_write_it(encoder, tmp_path):
    both = [MiniLM(str(tmp_path), str(encoder.weights), precision="int8") for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda each: each.encode(["a"]), both)
    assert np.array_equal(first, second)
    assert [path.name for path in tmp_path.iterdir()] == ["all-minilm-l6-v2-int8.onnx"]


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.text(st.characters(), max_size=200), max_size=3))
def test_every_text_has_a_unit_vector(encoder, texts):
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), encoder.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)


def test_what_lies_beyond_the_cut_does_not_change_the_vector(encoder):
    text = "the sea " * 500
    assert np.array_equal(encoder.encode([text]), encoder.encode([text + "x" * 1_000_000]))


def test_a_graph_that_is_damaged_is_named_with_the_mend(encoder, tmp_path):
    """row 39: a corrupt file of the encoder."""
    (tmp_path / "all-minilm-l6-v2-fp32.onnx").write_bytes(b"not a graph")
    with pytest.raises(SetupError, match=r"all-minilm-l6-v2-fp32\.onnx is damaged: remove it"):
        MiniLM(str(tmp_path), str(encoder.weights)).encode(["a"])


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="known: fp32, int8"):
        MiniLM(precision="int4")


def test_the_extra_is_named_where_the_library_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(SetupError, match="sentence-transformers"):
        SentenceTransformers("any").encode(["a"])
