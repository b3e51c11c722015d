"""What tokens cost: each kind at its own price where one is told, and never more than was reserved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.card import Price, Usage
from experts.messages_answer import usage_of as of_messages
from experts.openai_answer import Progress, parse_usage
from experts.responses_answer import usage_of as of_responses

PRICE = Price(1.0, 2.0, cached=0.1, cache_write=1.25, audio=10.0, image=3.0, reasoning=4.0, speech=20.0)


@pytest.mark.parametrize(
    ("kind", "dollars"),
    [
        ({}, 1.0 + 2.0),
        ({"cached_tokens": 1_000_000}, 0.1 + 2.0),
        ({"written_tokens": 1_000_000}, 1.25 + 2.0),
        ({"audio_tokens": 1_000_000}, 10.0 + 2.0),
        ({"image_tokens": 500_000}, 0.5 + 1.5 + 2.0),
        ({"reasoning_tokens": 250_000}, 1.0 + 1.0 + 1.5),
        ({"spoken_tokens": 1_000_000}, 1.0 + 20.0),
        ({"audio_tokens": 400_000, "cached_tokens": 600_000}, 4.0 + 0.06 + 2.0),
    ],
)
def test_each_kind_of_token_has_its_own_price(kind, dollars):
    assert PRICE.tokens(Usage(1_000_000, 1_000_000, **kind)) == round(dollars * 1e9)


def test_a_price_that_is_not_told_is_that_of_the_others_and_a_price_of_nothing_is_nothing():
    usage = Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000)
    assert Price(1.0, 2.0).tokens(usage) == 3_000_000_000
    assert Price(1.0, 2.0, cached=0.0, reasoning=0.0).tokens(usage) == 0
    assert Price(1.0, 2.0, cached=0.0).tokens(Usage(1_000_000, 0, None)) == 1_000_000_000


def test_no_token_counts_twice():
    usage = Usage(10, 10, 10, 10, audio_tokens=10, image_tokens=10, written_tokens=10, spoken_tokens=10)
    assert PRICE.tokens(usage) == 10 * 10_000 + 10 * 20_000


prices = st.none() | st.floats(0, 100)
counts = st.none() | st.integers(0, 10_000)


@given(
    price=st.builds(Price, st.floats(0, 100), st.floats(0, 100), prices, st.just(0.0), *[prices] * 5),
    usage=st.builds(Usage, counts, counts, counts, counts, st.just(False), *[counts] * 4),
)
def test_no_usage_costs_more_than_was_reserved_for_as_many_tokens(price, usage):
    most = price.most(usage.prompt_tokens or 0, usage.completion_tokens or 0)
    assert 0 <= price.tokens(usage) <= most
    assert price.per_token or most == 0


@given(st.builds(Price, st.floats(0, 100), st.floats(0, 100)), st.integers(0, 10**9), st.integers(0, 10**9))
def test_rates_in_lowest_terms_are_the_same_rates(price, prompt, completion):
    fresh, said, tokens = price.least
    assert -(-(prompt * fresh + completion * said) // tokens) == price.tokens(Usage(prompt, completion))


def test_the_details_are_read_in_each_dialect():
    details = {"cached_tokens": 1, "cache_write_tokens": 2, "audio_tokens": 3, "image_tokens": 4}
    said = {"reasoning_tokens": 5, "audio_tokens": 6}
    whole = Usage(20, 10, 1, 5, False, 2, 3, 4, 6)
    told = {"prompt_tokens": 20, "completion_tokens": 10}
    assert parse_usage({**told, "prompt_tokens_details": details, "completion_tokens_details": said}) == whole
    assert parse_usage({**told, "prompt_tokens_details": None, "completion_tokens_details": "odd"}) == Usage(20, 10)
    told = {"input_tokens": 20, "output_tokens": 10}
    assert of_responses({**told, "input_tokens_details": details, "output_tokens_details": said}) == whole
    told = {"input_tokens": 20, "output_tokens": 10, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 2}
    assert of_messages(told) == Usage(23, 10, 1, written_tokens=2)


def test_an_answer_costs_something_where_only_one_kind_does():
    assert Progress(Price(speech=1.0)).cost(Usage(1, 1_000_000, spoken_tokens=1_000_000)) == 1_000_000_000
    assert Progress(Price(cpu_hour=1.0)).cost(None) == 0
