"""Rows that become durable together."""

import asyncio

import pytest

from policies.batches import StoreUnavailable
from policies.groups import Group, refused


async def test_calls_that_were_left_are_made_once_the_group_has_ended():
    group, heard = Group(5.0), []
    group.then(lambda: heard.append("before"))
    group.end()
    group.then(lambda: heard.append("after"))
    assert heard == ["before", "after"]
    await group


def fails() -> None:
    raise ZeroDivisionError


async def test_a_call_that_fails_does_not_keep_the_others_waiting():
    group, heard = Group(), []
    group.then(fails)
    group.then(lambda: heard.append("second"))
    with pytest.raises(ZeroDivisionError):
        group.end()
    await asyncio.sleep(0)
    assert heard == ["second"]


async def test_whoever_awaits_a_refused_group_is_told_why():
    with pytest.raises(StoreUnavailable, match="full"):
        await refused(StoreUnavailable("full"))
