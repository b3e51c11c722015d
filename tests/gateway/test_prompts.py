"""Prompts are kept for keys that opted in, for some days, and can be erased to the last byte (row 64)."""

import sqlite3

import pytest

from gateway.__main__ import main
from gateway.prompts import FILE, Keeper, Prompts
from tests.gateway.conftest import KEY, OTHER, make_door, scripted, serving

CANARY = "the canary sings at dawn"
PLAIN = {"model": "auto", "messages": [{"role": "user", "content": CANARY}]}


async def asked(folder, prompts, *keys):
    """A folder in which each key has asked once."""
    door = make_door(folder, [scripted("first", "one")])
    door.school.books.prompts = Keeper(folder / FILE, prompts) if prompts else None
    async with serving(door) as served:
        for key in keys:
            answer = await served.http(key).post("/v1/chat/completions", json=PLAIN)
            assert answer.status_code == 200
    (folder / "lyceum.toml").write_text(
        f'[state]\nfolder = "{folder}"\n[experts.a]\nuse="x"\n[router]\nuse="x"\n[policy]\nuse="x"\n'
    )
    return answer.headers["x-lyceum-decision"]


def kept(folder):
    with sqlite3.connect(folder / FILE) as connection:
        return connection.execute("SELECT decision, key, messages FROM prompts").fetchall()


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_without_a_word_of_the_operator_no_file_holds_a_prompt(tmp_path):
    await asked(tmp_path, None, KEY, OTHER)
    assert CANARY.encode() not in bytes_of(tmp_path)


async def test_only_the_keys_that_opted_in_are_kept(tmp_path):
    await asked(tmp_path, Prompts(("other",)), KEY, OTHER)
    assert [row[1] for row in kept(tmp_path)] == ["other"]
    assert CANARY.encode() in kept(tmp_path)[0][2]


async def test_a_star_is_every_key(tmp_path):
    await asked(tmp_path, Prompts(("*",)), KEY, OTHER)
    assert [row[1] for row in kept(tmp_path)] == ["me", "other"]


async def test_old_prompts_go_when_new_ones_come(tmp_path):
    now = [0.0]
    door = make_door(tmp_path, [scripted("first")])
    keeper = door.school.books.prompts = Keeper(tmp_path / FILE, Prompts(("me",), days=1), lambda: now[0])
    async with serving(door) as served:
        await served.ask()
        now[0] = 86_401.0
        last = (await served.ask()).headers["x-lyceum-decision"]
        await keeper.close()
        assert [row[0] for row in kept(tmp_path)] == [last]


@pytest.mark.parametrize("words", [["--key", "me"], ["--before", "2100-01-01"], ["--all"], ["--decision", ""]])
async def test_what_is_forgotten_is_in_no_file(tmp_path, monkeypatch, capsys, words):
    name = await asked(tmp_path, Prompts(("me",)), KEY)
    monkeypatch.chdir(tmp_path)
    assert CANARY.encode() in bytes_of(tmp_path)
    assert main(["forget", *(word or name for word in words)]) == 0
    assert f"{FILE}: 1 erased" in capsys.readouterr().out
    assert CANARY.encode() not in bytes_of(tmp_path)


@pytest.mark.parametrize(
    ("words", "why"),
    [([], "say what to forget"), (["--all", "--key", "me"], "say what"), (["--before", "noon"], "is no moment")],
)
async def test_forgetting_must_be_said_clearly(tmp_path, monkeypatch, capsys, words, why):
    await asked(tmp_path, Prompts(("me",)), KEY)
    monkeypatch.chdir(tmp_path)
    assert main(["forget", *words]) == 2
    assert why in capsys.readouterr().err
    assert len(kept(tmp_path)) == 1
