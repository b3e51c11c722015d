"""RouteLLM's matrix factorization and BERT by the real package; collected only where the optional extra is installed.

Run by `make routellm`. The weights are trained here, by the package's own loop, on our encoder's vectors.
"""

import os
import socket

import numpy as np
import pytest

from experts.base import Request, SetupError
from experts.card import Card, Price
from routers.fit import check_encoder
from routers.prior import STD
from routers.routellm import KEY, PUBLISHED, Bert, MatrixFactorization, _package

pytestmark = pytest.mark.filterwarnings("default")

HARD = [f"Prove that there are infinitely many primes of the form {n}k + 3, step by step." for n in range(4, 34)]
EASY = [f"Say hello to my friend number {n}, in one short sentence." for n in range(4, 34)]
CATALOG = {"small": Card(), "large": Card(), "other": Card(price=Price(1.0, 2.0))}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refused(*address: object) -> None:
        raise AssertionError("a router reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.delenv(KEY, raising=False)


@pytest.fixture(scope="session")
def vectors(encoder):
    return dict(zip(HARD + EASY, encoder.encode(HARD + EASY), strict=True))


@pytest.fixture(scope="session")
def weights(vectors, tmp_path_factory):
    """A folder of weights: the strong model wins the hard prompts that were seen, the weak one the easy ones."""
    return trained(vectors, tmp_path_factory.mktemp("mf"), "model_a", "model_b")


def trained(vectors, folder, hard, easy):
    _, model = _package()
    from routellm.routers.matrix_factorization import train_matrix_factorization as package

    seen = [*HARD[:20], *EASY[:20]]
    np.save(folder / "vectors.npy", np.stack([vectors[prompt] for prompt in seen]))
    battles = [
        {"model_a": PUBLISHED[0], "model_b": PUBLISHED[1], "idx": i, "winner": hard if i < 20 else easy}
        for i in range(len(seen))
    ]
    shape = {"dim": 16, "num_models": 64, "text_dim": 384, "num_classes": 1, "use_proj": True}
    net = package.MFModel_Train(**shape, num_prompts=len(seen), npy_path=folder / "vectors.npy")
    batches = package.PairwiseDataset(battles).get_dataloaders(8)
    package.train_loops(net, batches, batches, lr=0.01, weight_decay=1e-5, alpha=0.01, num_epochs=40, device="cpu")
    made = model.MFModel(**shape)
    made.P.load_state_dict(net.P.state_dict())
    made.text_proj[0].load_state_dict(net.text_proj.state_dict())
    made.classifier[0].load_state_dict(net.classifier.state_dict())
    made.save_pretrained(folder)
    return folder


def ask(prompt, vector=None):
    return Request(({"role": "user", "content": prompt},), embedding=vector)


def router(weights, **options):
    return MatrixFactorization("small", "large", str(weights), **options)


def test_prompts_that_were_not_seen_go_to_the_expert_that_wins_their_kind(weights, vectors):
    routed = router(weights)
    for prompts, best in ((HARD[20:], "large"), (EASY[20:], "small")):
        for prompt in prompts:
            estimates = routed.estimate(ask(prompt, vectors[prompt]), CATALOG)
            assert list(estimates) == list(CATALOG)
            assert max(("small", "large"), key=lambda name: estimates[name].quality) == best


def test_the_chance_is_what_the_published_formula_gives(weights, vectors):
    from safetensors.numpy import load_file

    arrays = load_file(weights / "model.safetensors")
    _, model = _package()
    strong, weak = (arrays["P.weight"][model.MODEL_IDS[name]] for name in PUBLISHED)
    between = strong / np.linalg.norm(strong) - weak / np.linalg.norm(weak)
    for prompt in (HARD[25], EASY[25]):
        logit = arrays["classifier.0.weight"][0] @ (between * (arrays["text_proj.0.weight"] @ vectors[prompt]))
        assert router(weights).chance(ask(prompt, vectors[prompt])) == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


def test_the_threshold_is_where_the_strong_expert_takes_over(weights, vectors):
    request = ask(EASY[25], vectors[EASY[25]])
    chance = router(weights).chance(request)
    for threshold, best in ((chance * 0.9, "large"), (chance * 1.1, "small")):
        estimates = router(weights, threshold=threshold).estimate(request, CATALOG)
        assert max(("small", "large"), key=lambda name: estimates[name].quality) == best


def test_two_routers_in_one_process_each_keep_their_weights(weights, vectors, tmp_path):
    turned = router(trained(vectors, tmp_path, "model_b", "model_a"))
    first, request = router(weights), ask(HARD[25], vectors[HARD[25]])
    assert first.chance(request) > 0.5 > turned.chance(request)
    assert first.chance(request) == router(weights).chance(request)


@pytest.mark.parametrize("bad", [None, np.full(384, np.nan), np.zeros(384), np.ones(3)])
def test_without_a_usable_vector_nobody_is_ahead(weights, bad):
    """row 39: a dead encoder, NaN vectors, vectors of another dimension."""
    estimates = router(weights).estimate(ask("hello", bad), CATALOG)
    assert {estimate.quality for estimate in estimates.values()} == {0.5}


def test_an_expert_outside_the_pair_is_as_on_its_card(weights, vectors):
    estimates = router(weights).estimate(ask(HARD[0], vectors[HARD[0]]), CATALOG)
    assert estimates["other"].std == STD
    assert estimates["other"].cost > 0


def test_a_model_that_the_weights_do_not_know_is_a_setup_error_with_the_nearest(weights):
    with pytest.raises(SetupError, match="did you mean 'gpt-4-0613'"):
        router(weights, models=["gpt-4-0612", PUBLISHED[1]])


def test_no_key_of_openai_is_left_behind(weights):
    router(weights)
    assert KEY not in os.environ


def test_the_encoder_of_the_gateway_is_the_one_that_the_weights_were_trained_on(weights, encoder):
    check_encoder(router(weights, encoder=encoder.name), encoder)
    with pytest.raises(SetupError, match="fitted with encoder toy"):
        check_encoder(router(weights, encoder="toy"), encoder)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """A small BERT with random weights and a tokenizer of single letters."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(1)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=64, num_labels=3, **size)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_bert_tells_a_chance_for_any_text_without_a_vector(classifier):
    routed = Bert("small", "large", str(classifier))
    for prompt in ("hello", "", "a" * 5000, "\ud800"):
        estimates = routed.estimate(ask(prompt), CATALOG)
        assert estimates["small"].quality + estimates["large"].quality == pytest.approx(1.0)
        assert estimates["small"].quality != estimates["large"].quality
    assert routed.chance(ask("hello")) != routed.chance(ask("prove it"))
