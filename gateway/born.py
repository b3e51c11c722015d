"""How a request's life begins: the policy that its model dials, and the conversation that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experts.base import Request
from experts.reading import look
from gateway.errands import NAME, errand
from gateway.hops import HEADER, passed_on
from gateway.life import Life
from gateway.sessions import follow
from policies.pick import Threshold, instead

if TYPE_CHECKING:
    from gateway.handlers import Door


def born(door: Door, request: Request, key: str, headers: Mapping[bytes, bytes]) -> Life:
    """The life of a request. A client's own errand goes to the cheapest expert and belongs to no conversation.
    Raises APIError."""
    if HEADER in headers:
        request = passed_on(request, headers)
    name, policy = door.policy(request.model)
    school, found = door.school, look(request.messages)
    if request.model not in school.experts and errand(found, request.options):
        return Life(school, request, instead(school.policy, Threshold(0.0)), NAME, key)
    life = Life(school, request, policy, name, key)
    follow(life, found, headers)
    if school.retries.kept:
        school.retries.give(life, headers)
    return life
