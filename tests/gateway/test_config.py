"""A configuration's errors name the key and the mend, in one line."""

from __future__ import annotations

import pytest

from experts.base import SetupError
from experts.scripted import Scripted
from gateway import config
from gateway.config import Builder

GOOD = """
[server]
port = 9000
[experts.one]
use = "experts.scripted:Scripted"
answer = "hello"
price = { prompt = 0.5 }
domain = "greetings"
[router]
use = "routers.knn:Nearest"
[policy]
use = "policies.pick:Utility"
usd_per_quality = 0.01
[policies.careful]
use = "policies.budget:Budget"
usd_per_day = 5.0
inner = { use = "policies.pick:Threshold", quality = 0.7 }
"""


def written(tmp_path, text):
    path = tmp_path / "lyceum.toml"
    path.write_text(text)
    return path


def test_a_good_file_builds_experts_with_their_cards_and_nested_policies(tmp_path):
    settings = config.read(written(tmp_path, GOOD))
    builder = Builder(settings)

    expert = builder.experts()["one"]
    policy, named = builder.policies()

    assert settings.server.port == 9000
    assert isinstance(expert, Scripted)
    assert (expert.name, expert.card.domain, expert.card.price.prompt) == ("one", "greetings", 0.5)
    assert type(policy).__name__ == "Utility"
    assert type(named["careful"]).__name__ == "Budget"


def _build(path):
    settings = config.read(path)
    Builder(settings).experts()
    Builder(settings).policies()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[server]", "[server", "not valid TOML"),
        ("[server]", "[sever]", "sever: unknown key; did you mean 'server'?"),
        ("port = 9000", "prot = 9000", "server.prot: unknown key; did you mean 'port'?"),
        ("port = 9000", "port = '9000'", "server.port: Expected `int`, got `str`"),
        ("port = 9000", "port = 99999", "server.port: give a number from 0 to 65535"),
        ("port = 9000", "answer_model = 'x'", "server.answer_model: give"),
        ("port = 9000", "failure_share = 1.5", "server.failure_share: give a share from 0 to 1"),
        ("port = 9000", "slow_times = 1.5", "server.slow_times: give 2 or more"),
        ("answer =", "anwser =", "experts.one.anwser: unknown key; did you mean 'answer'?"),
        ("prompt = 0.5", "promt = 0.5", "experts.one.price.promt: unknown key; did you mean 'prompt'?"),
        ("prompt = 0.5", "prompt = 'x'", "experts.one.price.prompt: Expected `float`, got `str`"),
        ("scripted:Scripted", "scripted:Nothing", "experts.one.use: cannot import 'experts.scripted:Nothing'"),
        ('use = "experts.scripted:Scripted"', "", "experts.one.use: say which class"),
        ("usd_per_quality = 0.01", "usd_per_qualty = 0.01", "policy.usd_per_qualty: unknown key; did you mean"),
        ("usd_per_quality = 0.01", "", "policy.usd_per_quality: this key is missing"),
        ("quality = 0.7", "quality = 'high'", "policies.careful.inner.quality: Expected `float`, got `str`"),
        ('[router]\nuse = "routers.knn:Nearest"', "", "router: this table is missing"),
        ("[server]", "[keys.me]\nsha25 = 'x'\n[server]", "keys.me.sha25: unknown key; did you mean 'sha256'?"),
    ],
)
def test_an_error_names_its_key(tmp_path, old, new, said):
    path = written(tmp_path, GOOD.replace(old, new, 1))

    with pytest.raises(SetupError) as caught:
        _build(path)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_key_inside_a_nested_table_is_named(tmp_path):
    expert = 'use = "experts.openai_http:OpenAIHTTP"\nurl = "http://127.0.0.1:1/v1"\nlimits = { conections = 3 }'
    path = written(tmp_path, GOOD.replace('use = "experts.scripted:Scripted"\nanswer = "hello"', expert))

    with pytest.raises(SetupError, match=r"experts.one.limits.conections: unknown key; did you mean 'connections'\?"):
        _build(path)


def test_experts_may_name_each_other_but_not_in_a_circle(tmp_path):
    text = GOOD + '[experts.sums]\nuse = "experts.algebra:AlgebraExpert"\nhelper = "one"\n'
    circle = text.replace('helper = "one"', 'helper = "more"') + (
        '[experts.more]\nuse = "experts.algebra:AlgebraExpert"\nhelper = "sums"\n'
    )

    assert list(Builder(config.read(written(tmp_path, text))).experts()) == ["one", "sums"]
    with pytest.raises(SetupError, match="a circle of experts: sums -> more -> sums"):
        Builder(config.read(written(tmp_path, circle))).experts()
    with pytest.raises(SetupError, match=r"experts.sums.helper: unknown key; did you mean 'one'\?"):
        Builder(config.read(written(tmp_path, text.replace('"one"\n', '"oen"\n')))).experts()


def test_a_missing_or_unreadable_file_is_one_line(tmp_path):
    with pytest.raises(SetupError, match="cannot read the configuration: No such file"):
        config.read(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SetupError, match="not UTF-8"):
        config.read(tmp_path / "binary.toml")


def test_the_embedded_school_is_a_good_configuration():
    settings = config.read(config.EMBEDDED)

    assert list(Builder(settings).experts()) == ["small", "coder", "algebra", "logic"]
    assert list(Builder(settings).policies()[1]) == ["cheap", "best"]
