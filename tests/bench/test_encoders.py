"""`lyceum bench encoders` compares encoders on train alone, prompt by prompt."""

import argparse
import json

import numpy as np

from bench import encoders
from tests.bench.test_labels import written

LETTERS = "tests.bench.test_routers:Letters"


def bench(tmp_path, *given):
    parser = argparse.ArgumentParser()
    encoders.arguments(parser)
    place = ["--folder", str(tmp_path), "--data", "pair", "--state", str(tmp_path), "--splits", "1"]
    return encoders.run(parser.parse_args([*place, *given]))


def test_an_encoder_loses_nothing_to_itself_and_words_are_compared_with_it(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--encoder", LETTERS, "--encoder", LETTERS, "--encoder", "words", "--json") == 0
    first, same, words = json.loads(capsys.readouterr().out)
    assert first["score"] == same["score"]
    assert same["any"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": first["prompts"]}
    assert words["encoder"] == "words"
    assert 0.0 < words["score"] <= 1.0


def test_the_table_names_every_encoder(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--encoder", LETTERS) == 0
    assert "Letters" in capsys.readouterr().out


def test_halves_never_part_duplicates():
    groups = ["a", "b", "a", "c", "b", "d"]
    half = encoders.halves(groups, 1)
    assert half[0] == half[2]
    assert half[1] == half[4]
    assert np.bincount(half).min() > 0
