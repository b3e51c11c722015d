"""A key that stands twice in a body is found however it is written, and a body without one is taken however it is."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gateway.body import once, unspaced
from gateway.errors import APIError

TEXTS = some.text(max_size=8) | some.sampled_from(['"', '\\"', "a: b, c", "\\u0022", "ä", "\n", "x" * 200])
VALUES = some.recursive(
    TEXTS | some.integers(-9, 9) | some.none(),
    lambda each: some.lists(each, max_size=3) | some.dictionaries(TEXTS, each, max_size=3),
    max_leaves=12,
)
SPACES = some.sampled_from(["", " ", "\n", "\t ", "\r\n  "])


def checked(body: str) -> None:
    once(body.encode(), orjson.dumps(orjson.loads(body)))


@settings(max_examples=200, deadline=None)
@given(VALUES, SPACES, SPACES, some.booleans())
def test_a_body_in_which_no_key_stands_twice_passes_however_it_is_spaced_and_escaped(value, comma, colon, ascii_only):
    checked(json.dumps({"value": value}, separators=(f",{comma}", f":{colon}"), ensure_ascii=ascii_only))


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES, TEXTS, SPACES, some.booleans())
def test_a_key_that_stands_twice_is_refused_however_the_rest_is_written(first, second, said, space, ascii_only):
    one, two, text = (json.dumps(each, ensure_ascii=ascii_only) for each in (first, second, said))
    for key in ("value", "v\\u0061lue"):
        with pytest.raises(APIError) as error:
            checked(f'{{"said":{space}{text},{space}"value":{space}{one},{space}"{key}":{space}{two}}}')
        assert error.value.code == "duplicate_key"


def test_quotes_that_are_hidden_make_up_for_no_key():
    with pytest.raises(APIError):
        checked('{"x":1,"x":2,"said":"\\u0022\\u0022"}')
    checked('{"x":2, "said":"\\u0022\\u0022"}')


def test_what_is_no_json_has_no_other_form():
    assert unspaced(b'{"a": 01}') == b""
    assert unspaced(b' {"a" : [ 1, "b c" ] }\n') == b'{"a":[1,"b c"]}'
