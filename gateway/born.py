"""How a request's life begins: the policy that its model dials, and the conversation that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experts.reading import look
from gateway.errands import NAME, errand
from gateway.hops import HEADER, passed_on
from gateway.sessions import follow
from policies.pick import Threshold, instead

if TYPE_CHECKING:
    from gateway.handlers import Door
    from gateway.life import Life


AUTO = "auto"
"""The model that lets the default policy decide."""


def born(door: Door, life: Life, headers: Mapping[bytes, bytes]) -> None:
    """Tells a life its policy and its conversation. A client's own errand goes to the cheapest expert and belongs to
    none. Raises APIError."""
    request, school = life.request, life.school
    if HEADER in headers:
        request = life.request = passed_on(request, headers)
    model, found = request.model, look(request.messages)
    if model != AUTO:
        life.policy_name, life.policy = door.policy(model)
    if model not in school.experts and errand(found, request.options):
        life.policy_name, life.policy = NAME, instead(school.policy, Threshold(0.0))
        return
    follow(life, found, headers)
    if school.retries.kept:
        school.retries.give(life, headers)
