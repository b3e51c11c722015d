"""Virtual keys: shown once, found by their secret, ended at once."""

import pytest

from experts.base import SetupError
from policies.keys import Key, Keys, pepper

PEPPER = b"p" * 32


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def open_keys(tmp_path, clock):
    """Opens the same file as often as asked."""
    made = []

    def opened(secret=PEPPER):
        made.append(Keys(tmp_path / "keys.sqlite", secret, clock))
        return made[-1]

    yield opened
    for keys in made:
        await keys.close()


async def test_a_key_is_found_by_its_secret_and_by_nothing_else(open_keys):
    keys = open_keys()
    key, secret = await keys.create("web", org="acme", team="ml", experts=("small",))
    assert keys.find(secret) == key
    for wrong in ("", "lyc", secret[:-1], secret + "x", secret.replace(key.id, "000000000000"), "sk-" + secret):
        assert keys.find(wrong) is None
    assert key.scopes == {"org": "acme", "team": "ml", "key": key.id}
    assert keys.list() == [key]


async def test_the_secret_is_stored_nowhere(open_keys, tmp_path):
    key, secret = await open_keys().create("web")
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert key.id.encode() in stored
    assert secret[20:].encode() not in stored


async def test_without_the_pepper_the_file_is_useless(open_keys):
    _, secret = await open_keys().create("web")
    assert open_keys(b"q" * 32).find(secret) is None


async def test_a_revoked_key_is_useless_at_once_in_every_process(open_keys):
    one, two = open_keys(), open_keys()
    key, secret = await one.create("web")
    assert two.find(secret) == key
    assert await one.revoke(key.id)
    assert two.find(secret) is None
    assert not await one.revoke(key.id)
    assert two.list()[0].revoked == 1_000.0


async def test_a_key_ends_when_it_expires(open_keys, clock):
    keys = open_keys()
    key, secret = await keys.create("web", seconds=60)
    clock.now += 59
    assert keys.find(secret) == key
    clock.now += 1
    assert keys.find(secret) is None


async def test_a_rotated_key_has_a_new_secret_and_the_old_one_a_grace(open_keys, clock):
    keys = open_keys()
    key, old = await keys.create("web")
    new = await keys.rotate(key.id, grace=10)
    assert keys.find(old) == keys.find(new) == key
    clock.now += 10
    assert keys.find(old) is None
    assert keys.find(new) == key
    again = await keys.rotate(key.id)
    assert keys.find(new) is None
    assert keys.find(again) == key


async def test_a_key_that_is_not_there_cannot_be_rotated(open_keys):
    assert await open_keys().rotate("nobody") is None


def test_a_key_without_limits_is_valid():
    assert Key("id", "web").valid(5.0)


def test_the_pepper_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "state" / "pepper"
    made = pepper(path)
    assert pepper(path) == made
    assert len(made) == 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_or_unwritable_pepper_is_an_error_of_setup(tmp_path):
    (tmp_path / "pepper").write_bytes(b"short")
    with pytest.raises(SetupError, match="32 bytes"):
        pepper(tmp_path / "pepper")
    with pytest.raises(SetupError, match="cannot be read or made"):
        pepper(tmp_path / "pepper" / "below")
