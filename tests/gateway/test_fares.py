"""The most that asking an expert can cost, which is what a call reserves."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from experts.base import Request
from experts.card import Card, Price, Usage, nano
from experts.catalog import Demand
from gateway import chat
from gateway.errors import APIError
from gateway.fares import Bound, Fare
from gateway.money import Money
from gateway.terms import Accounts as Terms
from policies.payers import Payer
from tests.gateway.conftest import CARD


def bound(card: Card, request: Request, terms: Terms | None = None) -> Bound:
    """What a call reserves."""
    return Fare.of(card, terms or Terms()).bound(request, Demand.of(request))


def quickly(card: Card, request: Request) -> Bound:
    """What is reserved for a call that is like others, of somebody whose budgets grant it out of a slice."""
    made, payer = Money(Nobody()), Payer((), ())  # type: ignore[arg-type] # as much of Accounts as is looked at
    payer.sliced = True
    made.fares["one"] = Fare.of(card, Terms())
    life = SimpleNamespace(request=request, demand=Demand.of(request))
    promise = made.grant(life, SimpleNamespace(name="one", card=card), payer)  # type: ignore[arg-type] # the same
    assert promise is not None
    return Bound(promise.amount, promise.cap, promise.told)


class Nobody:
    """Accounts that grant nothing at once."""

    limits, kinds, clock = (), frozenset[str](), None

    def at_once(self, payer: Payer, amount: int) -> None:
        """It would have to be waited for."""


def parsed(**options: Any) -> Request:
    """A client's body as it is read."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi " * 100}], **options}
    return chat.parse(json.dumps(body).encode(), "id")


def test_a_bound_covers_every_token_that_can_be_billed():
    text = Request(({"role": "user", "content": "é" * 1000},), {"max_tokens": 10, "n": 3})
    assert bound(CARD, text).amount >= CARD.price.tokens(Usage(7, 3)) + 2000 * 1000 + 30 * 2000
    image = Request(({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]},))
    assert bound(CARD, image, Terms(answer_tokens=1)).amount == CARD.context * 1000 + 2000
    assert bound(Card(max_output=7), text).cap == 10
    assert bound(Card(max_output=7), image).cap == 7


def test_the_bytes_of_a_body_are_known_already_and_cover_the_messages_alone():
    request = parsed(max_tokens=1)
    alone = bound(CARD, replace(request, body=None))
    assert alone.amount < bound(CARD, request).amount < alone.amount + 100 * 1000
    shorter = replace(request, messages=({"role": "user", "content": "hi"},))
    assert bound(CARD, shorter).amount < alone.amount
    streamed = replace(request, options={**request.options, "stream": False})
    assert bound(CARD, streamed) == bound(CARD, request)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": None}, None),
        ({"max_tokens": 0}, None),
        ({"max_tokens": 9, "max_completion_tokens": 4}, 4),
    ],
)
def test_the_client_s_least_limit_is_the_one_that_counts(options, told):
    found = bound(CARD, Request(({"role": "user", "content": "hi"},), options))
    assert (found.told, found.cap) == (told, told or Terms().answer_tokens)


def test_a_request_in_its_own_dialect_is_bound_by_its_own_limit_and_the_expert_s_context():
    request = Request((), {}, dialect="messages", native={"max_tokens": 3})
    found = bound(CARD, request)
    assert (found.told, found.cap) == (3, 3)
    assert found.amount == CARD.price.most(CARD.context, 3)


def test_processor_time_is_part_of_the_most_and_bounds_the_call():
    card = Card(price=Price(cpu_hour=3600.0))
    assert Fare.of(card, Terms(call_seconds=2.0)).seconds == 2.0
    assert bound(card, parsed(), Terms(call_seconds=2.0)).amount >= 2 * 10**9


@pytest.mark.parametrize("context", [10, 300, 400, 500, 8192])
@pytest.mark.parametrize("told", [None, 1, 7, 299, 400, 401, 10**7])
def test_a_usual_body_is_bound_in_one_step_as_any_other_is(context, told):
    request = parsed() if told is None else parsed(max_tokens=told)
    for prompt, completion, cpu in [(0.123, 1.7, 0.0), (0.1, 0.4, 3.6), (0.0, 0.0, 0.0), (1e-7, 3.3333331, 0.01)]:
        card = Card(context=context, price=Price(prompt=prompt, completion=completion, cpu_hour=cpu))
        assert quickly(card, request) == bound(card, request)


@given(
    st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 10), st.integers(1, 10**6), st.integers(0, 10**4), st.data()
)
def test_the_most_is_exact_to_the_nano_dollar_at_any_price(prompt, completion, cpu, context, size, data):
    card = Card(context=context, price=Price(prompt=prompt, completion=completion, cpu_hour=cpu))
    told = data.draw(st.none() | st.integers(1, 10**7))
    body = {"model": "auto", "messages": [{"role": "user", "content": "x" * size}], "max_tokens": told}
    request = chat.parse(json.dumps(body).encode(), "id")
    found, fare = quickly(card, request), Fare.of(card, Terms())
    assert request.body is not None
    nanos = min(request.body.size + 64, context) * nano(prompt) + found.cap * nano(completion)
    assert found.amount == fare.cpu - (-nanos // 10**6)
    assert found == bound(card, request)


@pytest.mark.parametrize("told", [True, 0, -1, 7.0, 1.5, "7", 10**9])
def test_no_body_that_was_read_says_a_length_that_is_no_count(told):
    with pytest.raises(APIError):
        parsed(max_tokens=told)
