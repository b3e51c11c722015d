"""How a request's life begins: the policy that its model dials, and the conversation that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experts.catalog import CHARACTERS_PER_TOKEN, TEXT
from experts.reading import look
from gateway.errands import NAME, errand
from gateway.errors import APIError
from gateway.hops import HEADER, passed_on
from gateway.sessions import follow
from policies.base import Policy
from policies.pick import Only, dialled, instead

if TYPE_CHECKING:
    from gateway.life import Life
    from gateway.school import School


AUTO = "auto"
"""The model that lets the default policy decide."""
DIALS = 256
"""How many models' policies are remembered."""


def born(life: Life, headers: Mapping[bytes, bytes]) -> None:
    """Tells a life its policy and its conversation. A client's own errand goes to the cheapest expert and belongs to
    none. Raises APIError."""
    request, school = life.request, life.school
    if HEADER in headers:
        request = life.request = passed_on(request, headers)
    model, body, found = request.model, request.body, look(request.messages)
    if body is not None and body.plain and found.kinds is TEXT:
        life.tokens = found.letters // CHARACTERS_PER_TOKEN
    if model != AUTO:
        life.policy_name, life.policy = policy_of(school, model)
    if model not in school.experts and errand(found, request.options):
        life.policy_name, life.policy = NAME, school.errands
        return
    follow(life, found, headers)
    if school.retries.waiting[0]:
        school.retries.give(life, headers)


def policy_of(school: School, model: str) -> tuple[str, Policy]:
    """The name and the policy that a requested model dials: `auto`, `auto:DOLLARS`, a policy's name, an expert's; each
    within the budget of the default one, and the same one each time. Raises APIError."""
    known = school.dials.get(model)
    if known is None:
        known = _policy_of(school, model)
        if len(school.dials) >= DIALS:
            school.dials.clear()
        school.dials[model] = known
    return known


def _policy_of(school: School, model: str) -> tuple[str, Policy]:
    if model == AUTO:
        return AUTO, school.policy
    if model in school.policies:
        return model, instead(school.policy, school.policies[model])
    if model in school.experts:
        return "only", instead(school.policy, Only(model))
    return "auto:", dialled(school.policy, _dial(model))


def _dial(model: str) -> float:
    head, _, price = model.partition(":")
    try:
        value = float(price)
    except ValueError:
        value = -1.0
    if head != AUTO or not 0 <= value < 1e6:
        raise APIError("model_not_found", "There is no such model; GET /v1/models lists them.", "model")
    return value
