"""Data sets come in without leaks, from folders written here: nothing beside the project is needed."""

import gzip
import json

import numpy as np
import pytest

from bench import data, duplicates
from experts.base import SetupError

MODELS = [{"model": "cheap"}, {"model": "dear"}, {"model": "seldom"}]


def line(name: str, group: str, scores: list[float | None], **more: object) -> dict[str, object]:
    return {"prompt_id": name, "prompt": f"worked example\n{name}?", "domain": "maths", "dup_group": group} | {
        "score": scores,
        "cost_usd_est": [1e-6, 2e-6, 3e-6],
        "input_tokens_est": [5.0, 5.0, 5.0],
        "output_tokens_est": [1.0, 1.0, 1.0],
        **more,
    }


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "sums"
    folder.mkdir()
    (folder / "models.json").write_text(json.dumps(MODELS))
    parts = {
        "train": [line(f"a{i}", f"g{i}", [1.0, 0.5, None]) for i in range(20)],
        "test": [
            line("b0", "h0", [1.0, 0.0, None], question_only="only this?"),
            line("b1", "h1", [0.0, None, 1.0]),
            line("b2", "h2", [0.0, 1.0, 1.0]),
        ],
    }
    for split, rows in parts.items():
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


def test_a_shared_set_keeps_experts_that_answered_and_prompts_that_all_answered(place):
    found = data.load("sums", place)
    assert found.train.experts == found.test.experts == ("cheap", "dear")
    assert (len(found.train), len(found.test)) == (20, 2)
    assert found.test.cost[0].tolist() == [1000.0, 2000.0]


def test_a_router_sees_the_question_without_its_worked_examples(place):
    assert data.load("sums", place).test.prompts == ("only this?", "worked example\nb2?")


def test_an_unknown_set_names_those_that_are_there(place):
    with pytest.raises(SetupError, match="--data sms: .*known: .*sums"):
        data.load("sms", place)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SetupError, match="there is no such folder"):
        data.folder(tmp_path / "nowhere")


def test_paretobandit_loses_the_fit_prompts_that_are_also_tested(tmp_path):
    def arms(reward: float) -> dict[str, object]:
        return {"small": {"reward": reward, "cost": 1e-5}, "large": {"reward": 1.0, "cost": 1e-3}}

    parts = {"val.jsonl": ["How many  eggs?", "Which planet is largest?"], "test_holdout.jsonl": ["How many eggs"]}
    for name, prompts in parts.items():
        rows = [{"prompt": prompt, "source": "gsm8k", "arms": arms(0.5)} for prompt in prompts]
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    found = data.paretobandit(tmp_path)
    assert found.train.prompts == ("Which planet is largest?",)
    assert found.test.cost.tolist() == [[10_000.0, 1_000_000.0]]


def test_duplicates_are_found_through_case_spacing_and_small_edits():
    long = "Natalia sold clips to forty eight of her friends in April and half as many clips in May how many in all"
    labels = duplicates.groups(["Two plus two?", "two  plus two", long, long + " then", "The capital of France?"])
    assert labels[0] == labels[1]
    assert labels[2] == labels[3]
    assert len(set(labels)) == 3


def test_a_split_keeps_groups_whole_and_about_its_share():
    labels = [f"g{i % 400}" for i in range(1200)]
    parts = duplicates.split(labels, test=0.25)
    assert all(len({parts[i], parts[i + 400], parts[i + 800]}) == 1 for i in range(400))
    assert np.mean([part == "test" for part in parts]) == pytest.approx(0.25, abs=0.08)
