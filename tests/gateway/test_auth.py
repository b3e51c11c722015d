"""Keys: from variables, from hashes, and the one that is made when there is none."""

from __future__ import annotations

import hashlib
import stat

import pytest

from experts.base import SetupError
from gateway import auth
from gateway.errors import APIError


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
