"""`lyceum experts probe` adds one expert to a fitted router from answers that were scored already."""

import argparse
import json

import numpy as np
import pytest

from bench import newcomer
from experts.base import SetupError
from routers.fit import load_router, train
from routers.outcomes import from_rows
from routers.saved import load, save
from tests.bench.test_routers import Letters

KINDS = ("add up the sum", "translate the word")


def rows(expert, good, count=60):
    return [
        {
            "prompt": f"{KINDS[i % 2]} {i}",
            "expert": expert,
            "score": good[i % 2],
            "cost": 1000 + i,
            "domain": KINDS[i % 2],
        }
        for i in range(count)
        for kind, score in [(KINDS[i % 2], good[i % 2])]
    ]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A router of two experts, a configuration with its encoder, and the probes of a third."""
    monkeypatch.chdir(tmp_path)
    known = from_rows([*rows("sums", (0.9, 0.3)), *rows("words", (0.2, 0.8))])
    vectors = Letters().encode(known.prompts)
    save(tmp_path / "router", train(known, vectors, encoder="Letters"), {"made": "today"})
    (tmp_path / "lyceum.toml").write_text('[encoder]\nuse = "tests.bench.test_routers:Letters"\n')
    (tmp_path / "probes.jsonl").write_text("\n".join(map(json.dumps, rows("large", (0.95, 0.9)))))
    return tmp_path


def command(name):
    parser = argparse.ArgumentParser()
    newcomer.arguments(parser)
    return newcomer.run(parser.parse_args(["probe", name, "--outcomes", "probes.jsonl", "--router", "router"]))


def test_a_newcomer_joins_from_a_table_and_the_router_says_so(place, capsys):
    assert command("large") == 0
    assert "large joined sums, words" in capsys.readouterr().out.replace("\n", " ")
    router, about = load(place / "router")
    assert load_router(place / "router")
    assert router.experts == ("sums", "words", "large")
    assert about["made"] == "today"
    assert [(each["expert"], each["prompts"]) for each in about["joined"]] == [("large", 60)]
    assert np.isfinite(router.blind.quality).all()


def test_an_expert_without_probes_is_named(place):
    with pytest.raises(SetupError, match="no row of small; known: large"):
        command("small")
