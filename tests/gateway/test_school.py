"""What is found for one plain request holds for others of its length, until anything behind it changes."""

from __future__ import annotations

import pytest

from experts.base import Unavailable
from gateway.health import FAILURES
from policies.budget import Budget
from policies.pick import Utility
from routers.simple import Cards
from tests.gateway.conftest import make_door, scripted, serving


def blind(tmp_path, *experts, policy=None):
    """A door with a router that looks at no words."""
    door = make_door(tmp_path, experts or [scripted("one", "1"), scripted("two", "2")], policy)
    door.school.router, door.school.blind = Cards(), True
    return door


async def test_plain_requests_of_a_length_are_decided_once(tmp_path):
    door = blind(tmp_path)
    async with serving(door) as served:
        for content in ("what is one", "what is two", "what are all of these words for"):
            answer = await served.ask(messages=[{"role": "user", "content": content}])
            assert answer.headers["x-lyceum-expert"] == "one"
        assert sorted(tokens for _, tokens, _ in door.school.usual) == [2, 7]
        rows = served.ledger("decisions")
    assert {row["why"] for row in rows} == {"most quality for the money at $1 for quality 1"}
    assert all(row["estimates"].keys() == {"one", "two"} for row in rows)


async def test_what_is_remembered_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.school.MOST", 3)
    monkeypatch.setattr("gateway.born.DIALS", 3)
    door = blind(tmp_path)
    async with serving(door) as served:
        for number in range(10):
            said = [{"role": "user", "content": "x" * 8 * number + "y"}]
            assert (await served.ask(messages=said, model=f"auto:0.{number}")).status_code == 200
    assert len(door.school.usual) <= 3
    assert len(door.school.dials) <= 3


async def test_an_expert_that_fails_is_not_asked_because_it_was_remembered(tmp_path):
    broken = scripted("one", fail=Unavailable("down"))
    async with serving(blind(tmp_path, broken, scripted("two", "2"))) as served:
        for _ in range(FAILURES + 3):
            assert (await served.ask()).headers["x-lyceum-expert"] == "two"
        asked = [row["experts"] for row in served.ledger("decisions")]
    assert asked == [["one"], ["two"]] * FAILURES + [["two"]] * 3


async def test_tools_and_pictures_are_no_usual_talk(tmp_path):
    door = blind(tmp_path)
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    part = {"type": "text", "text": "in parts"}
    async with serving(door) as served:
        await served.ask(tools=[tool])
        assert door.school.usual == {}
        await served.ask(messages=[{"role": "user", "content": [part]}])
        assert door.school.usual == {}
        await served.ask()
        assert len(door.school.usual) == 1


async def test_a_conversation_stays_with_its_expert_whatever_others_of_its_length_do(tmp_path):
    first = [{"role": "user", "content": "one"}]
    later = [*first, {"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}]
    door = blind(tmp_path)
    async with serving(door) as served:
        await served.ask(messages=first, model="two")
        assert (await served.ask(messages=later)).headers["x-lyceum-expert"] == "two"


@pytest.mark.parametrize(("usd", "status"), [(0.0, 429), (1.0, 200)])
async def test_a_budget_holds_for_what_is_remembered(tmp_path, usd, status):
    async with serving(blind(tmp_path, policy=Budget(Utility(1.0), usd_per_request=usd))) as served:
        assert {(await served.ask()).status_code for _ in range(3)} == {status}


def test_a_part_of_the_experts_is_the_same_catalog_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.school.PARTS", 2)
    school = blind(tmp_path).school
    assert school.part(["one"]) is school.part(["one"])
    assert list(school.part(["two"])) == ["two"]
    assert list(school.part([])) == []
    assert len(school.some) <= 2
