"""What conversations in tests of translations are made of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WORDS = st.text(min_size=1, max_size=8)
NAMES = st.sampled_from(["add", "get_weather", "search"])
IDS = st.sampled_from(["call_1", "call_2", "call_3"])
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
ARGUMENTS = st.dictionaries(WORDS, st.integers(-9, 9) | WORDS, max_size=2)


def object_of(required: dict[str, Any], **optional: Any) -> Any:
    return st.fixed_dictionaries(required, optional={key: value for key, value in optional.items()})
