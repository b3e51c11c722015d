"""A router is fitted from a table, saved, loaded, and routes as before."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from experts.base import Request, SetupError
from experts.card import Card
from routers.fit import check_encoder, encoder_of, fit, load_router, train
from routers.outcomes import TableError
from routers.saved import ARRAYS, TREE, save
from routers.simple import Cards
from tests.routers.conftest import TOPICS, WORDS, table
from tests.routers.test_laws import HEADS, LEARNED, OUTCOMES, VECTORS

CATALOG = {name: Card() for name in (*TOPICS, "rare", "new")}


def write(path, outcomes):
    rows = [
        {"prompt": prompt, "expert": expert, "score": score, "domain": domain, "split": split, "cost": 100 + i}
        for i, (prompt, domain, split) in enumerate(
            zip(outcomes.prompts, outcomes.domains, outcomes.splits, strict=True)
        )
        for expert, score in zip(outcomes.experts, outcomes.score[i].tolist(), strict=True)
        if score == score
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize("head", HEADS)
def test_a_loaded_router_estimates_as_the_saved_one(head, tmp_path):
    save(tmp_path, LEARNED[head], {})
    again = load_router(tmp_path)
    for prompt, vector in zip(OUTCOMES.prompts[:5], VECTORS[:5], strict=True):
        request = Request(({"role": "user", "content": prompt},), embedding=vector)
        assert again.estimate(request, CATALOG, ()) == LEARNED[head].estimate(request, CATALOG, ())


@pytest.mark.parametrize("head", HEADS[1:])
def test_a_learned_router_finds_the_expert_of_the_topic(head):
    outcomes, vectors = table(prompts=60, seed=7)
    right = 0
    for prompt, domain, vector in zip(outcomes.prompts, outcomes.domains, vectors, strict=True):
        request = Request(({"role": "user", "content": prompt},), embedding=vector)
        estimates = LEARNED[head].estimate(request, {name: Card() for name in TOPICS}, ())
        right += max(estimates.values(), key=lambda estimate: estimate.quality).expert == domain
    assert right > 50


def test_a_router_is_fitted_from_a_file_with_the_real_encoder(encoder, tmp_path, capsys):
    source = write(tmp_path / "outcomes.jsonl", table(prompts=60)[0])
    fit(source, encoder, tmp_path / "router", made="2026-11-22", use=HEADS[1])
    router = load_router(tmp_path / "router")
    assert encoder_of(router) == encoder.name
    check_encoder(router, encoder)
    about = json.loads((tmp_path / "router" / TREE).read_text())
    assert about["made"] == "2026-11-22"
    assert len(about["sha256"]) == 64
    for topic in TOPICS:
        request = Request(({"role": "user", "content": WORDS[topic]},), embedding=encoder.encode([WORDS[topic]])[0])
        estimates = router.estimate(request, {name: Card() for name in TOPICS}, ())
        assert max(estimates.values(), key=lambda estimate: estimate.quality).expert == topic


def test_the_test_split_is_never_fitted_on(encoder, tmp_path):
    outcomes = table(prompts=10)[0]
    held = outcomes.rows(range(10))
    source = write(tmp_path / "t.jsonl", type(held)(**{**_fields(held), "splits": ("test",) * 10}))
    with pytest.raises(TableError, match="no scored row outside the split `test`"):
        fit(source, encoder, tmp_path / "router", made="2026-11-22")


def _fields(outcomes):
    return {name: getattr(outcomes, name) for name in outcomes.__slots__}


def test_another_encoders_vectors_are_refused(encoder):
    with pytest.raises(SetupError, match="fitted with encoder toy, not all-MiniLM"):
        check_encoder(LEARNED[HEADS[1]], encoder)


def test_a_router_without_an_encoder_wants_none(encoder):
    assert encoder_of(Cards()) == ""
    check_encoder(Cards(), encoder)


def test_a_folder_without_a_router_is_a_setup_error(tmp_path):
    with pytest.raises(SetupError, match="holds no router; make one with `lyceum fit`"):
        load_router(tmp_path)


@pytest.mark.parametrize(
    "name, content",
    [
        (TREE, b"{"),
        (TREE, b"{}"),
        (TREE, b'{"tree": {"use": "os:system", "fields": {}}}'),
        (TREE, b'{"tree": {"use": "routers.knn:Nearest", "fields": {}}}'),
        (ARRAYS, b"123456789"),
        (TREE, b'{"tree": 7}'),
        (TREE, b'{"tree": {"use": "routers.nowhere:Head", "fields": {}}}'),
    ],
)
def test_damaged_files_are_a_setup_error_and_run_nothing(tmp_path, name, content):
    """row 39: a corrupt router file; a class outside the trusted packages is not imported."""
    save(tmp_path, LEARNED[HEADS[1]], {})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SetupError, match="router"):
        load_router(tmp_path)


def test_a_table_in_which_nothing_was_priced_or_timed_is_fitted():
    outcomes, vectors = table(prompts=40)
    empty = np.full(outcomes.score.shape, np.nan)
    bare = type(outcomes)(**{**_fields(outcomes), "cost": empty, "seconds": empty})
    router = train(bare, vectors, HEADS[1])
    request = Request(({"role": "user", "content": "hello"},), embedding=vectors[0])
    estimate = router.estimate(request, CATALOG, ())["maths"]
    assert (estimate.cost, estimate.cost_high) == (0, 0)
    assert estimate.latency > 1.0


def test_importing_the_room_loads_nothing_heavy():
    heavy = "numpy faiss onnxruntime onnx tokenizers safetensors pyarrow rich torch"
    modules = "base encoders fit knn domain simple learned saved minilm costs ridge logistic outcomes"
    code = f"import sys\n{''.join(f'import routers.{m}{chr(10)}' for m in modules.split())}"
    code += f"print([name for name in {heavy.split()} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_prompts_without_scores_teach_words_and_nothing_of_experts():
    outcomes, vectors = table(prompts=160, seed=3)
    prompts = (*outcomes.prompts[:60], *(f"{prompt} unheard" for prompt in outcomes.prompts[60:]))
    score = outcomes.score.copy()
    score[60:] = np.nan
    more = train(replace(outcomes, prompts=prompts, score=score), vectors)
    few = train(outcomes.rows(range(60)), vectors[:60])
    known = [router.costs.features.words.vocabulary for router in (more, few)]
    assert ["unheard" in words for words in known] == [True, False]
    assert more.blind.quality == pytest.approx(few.blind.quality)
    request = Request(({"role": "user", "content": outcomes.prompts[80]},), embedding=vectors[80])
    told = (router.estimate(request, CATALOG, ())["maths"].quality for router in (more, few))
    assert next(told) == pytest.approx(next(told), abs=0.15)
