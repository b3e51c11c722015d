"""What is the same for all that a program asks in the same words but for the last: found once, not with each request.

Bodies under one frame have the same options object, the same model and the same speakers. Where their head names no
conversation and their experts are all well, nothing is left to find but how long they are and what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from experts.catalog import CHARACTERS_PER_TOKEN
from experts.reading import LAST
from gateway.born import policy_of
from gateway.errands import errand
from gateway.hops import HEADER
from gateway.sessions import ANY, hashed
from policies.base import Policy
from policies.rows import hash_of

if TYPE_CHECKING:
    from gateway.life import Life
    from gateway.school import School, Usual
    from gateway.turn import Head

MOST, LENGTHS = 32, 256
"""Habits that are remembered, and lengths of each."""


class Habit(Struct, frozen=True):
    """What is the same for requests with these very options."""

    options: Mapping[str, Any]
    policy_name: str
    policy: Policy
    stream: bool
    usual: dict[int, Usual]
    """By tokens."""


def habit_of(head: Head, school: School, options: Mapping[str, Any]) -> Habit | None:
    """The habit of requests with a head and options; its head remembers the last one."""
    habit = school.habits.get(id(options))
    if habit is not None and named(head):
        return None
    head.habit = habit
    return habit


def named(head: Head) -> bool:
    """Whether a head says something of a conversation, or of the way that a request has come."""
    return HEADER in head.headers or not ANY.isdisjoint(head.headers)


def follows(life: Life, habit: Habit) -> bool:
    """Tells a life all that `born` and its own beginning would, if its habit tells that; else nothing."""
    school, found = life.school, LAST[0]
    if found.messages is not life.request.messages or not school.health.calm or school.retries.waiting[0]:
        return False
    usual, said = habit.usual.get(found.letters // CHARACTERS_PER_TOKEN), found.texts[-1]
    if usual is None or errand(found, habit.options):
        return False
    life.policy_name, life.policy = habit.policy_name, habit.policy
    told = hash_of(said)
    life.session = hashed(found.texts, found.letters, told)
    if said is found.prompt:
        life.told = told
    life.demand, life.catalog, life.usual = usual.demand, usual.catalog, usual
    if habit.stream:
        life.stream = True
    return True


def learn(life: Life, head: Head) -> None:
    """Remembers how a life began, if others will begin like it."""
    school, request, usual, found = life.school, life.request, life.usual, LAST[0]
    body, options = request.body, request.options
    if usual is None or usual.met is not school.cards or school.supervised or body is None or body.splices is None:
        return  # more is to be looked at than its length, or it has no frame
    if found.messages is not request.messages or not found.fresh or "prompt_cache_key" in options or named(head):
        return
    name, policy = policy_of(school, request.model)
    if life.policy is not policy:
        return  # an errand, or a retry
    habit = school.habits.get(id(options))
    if habit is None or habit.policy is not policy:
        if len(school.habits) >= MOST:
            school.habits.clear()
        habit = school.habits[id(options)] = Habit(options, name, policy, life.stream, {})
    if len(habit.usual) >= LENGTHS:
        habit.usual.clear()
    habit.usual[found.letters // CHARACTERS_PER_TOKEN] = usual
