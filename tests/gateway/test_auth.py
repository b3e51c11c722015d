"""Keys: from variables, from hashes, and the one that is made when there is none."""

from __future__ import annotations

import hashlib
import stat

import pytest

from experts.base import SetupError
from experts.card import Card
from gateway import auth
from gateway.errors import APIError
from policies.keys import Key


def bearer(secret):
    return {b"authorization": b"Bearer " + secret.encode()}


def test_keys_come_from_variables_and_hashes(monkeypatch):
    monkeypatch.setenv("TEST_KEY", "one")
    keys = auth.from_table({"a": {"env": "TEST_KEY"}, "b": {"sha256": hashlib.sha256(b"two").hexdigest()}})

    assert keys.name(bearer("one")) == "a"
    assert keys.name(bearer("two")) == "b"
    for headers in ({}, bearer("three"), {b"authorization": b"Basic one"}, {b"authorization": b"one"}):
        with pytest.raises(APIError, match="missing or not known"):
            keys.name(headers)


def test_without_any_key_nobody_is_let_in():
    with pytest.raises(APIError):
        auth.Keys({}).name(bearer(""))


@pytest.mark.parametrize("entry", [{"env": "NOT_SET_ANYWHERE"}, {"sha256": "xyz"}, {"sha256": "abcd"}, {}])
def test_a_key_that_cannot_be_had_is_named(entry):
    with pytest.raises(SetupError, match="keys.me"):
        auth.from_table({"me": entry})


def test_the_local_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "state" / "key"

    secret = auth.local_key(path)

    assert auth.local_key(path) == secret
    assert len(secret) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_was_seen_is_known_again_and_no_other_is():
    keys = auth.Keys({"a": auth.digest("one"), "b": auth.digest("two")})
    for _ in range(2):
        assert keys.name(bearer("one")) == "a"
        assert keys.name({b"authorization": b"bEARER one"}) == "a"
        assert keys.name(bearer("two")) == "b"
        for header in (b"Basic one", b"Bearer  one", b"Bearer one ", b"Bearer on", b"one", b""):
            with pytest.raises(APIError):
                keys.name({b"authorization": header})


def test_headers_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr(auth, "KNOWN", 3)
    keys = auth.Keys({"a": auth.digest("one")})
    spellings = [bytes(spelling) for spelling in zip(*[b"bearer", b"BEARER"], strict=True)]
    for place in range(6):
        scheme = b"".join(each[place == at : (place == at) + 1] for at, each in enumerate(spellings))
        assert keys.name({b"authorization": scheme + b" one"}) == "a"
        assert len(keys.named) <= 3


def test_a_key_meets_the_same_experts_for_as_long_as_the_catalog_is_the_same(monkeypatch):
    monkeypatch.setattr(auth, "KNOWN", 2)
    limited = Key("a", "a", experts=("x", "y"), policies=("cheap",))
    keys = auth.Keys({"a": auth.digest("one"), "b": auth.digest("two")}, {"a": limited})
    catalog = {name: Card() for name in "xyz"}

    mine = keys.permitted("a", "cheap", catalog)
    assert list(mine) == ["x", "y"]
    assert keys.permitted("a", "cheap", catalog) is mine
    assert keys.permitted("b", "auto", catalog) == catalog
    assert list(keys.permitted("a", "cheap", {"y": Card(), "z": Card()})) == ["y"]
    for model, cards in (("auto", catalog), ("cheap", {"z": Card()})):
        for _ in range(2):
            with pytest.raises(APIError, match="model"):
                keys.permitted("a", model, cards)
    keys.known["a"] = Key("a", "a", experts=("z",))
    assert list(keys.permitted("a", "cheap", catalog)) == ["z"]
    for name in "xyz":
        keys.permitted("a", "z", {name: Card(), "z": Card()})
        assert len(keys.catalogs) <= 2
