"""The human's words are routed on, whatever an agent wraps around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import Request
from experts.wrappers import AROUND, BESIDE, bare

BIG = "You are an agent.\n" * 2500
WORDS = "Why is the sky blue?"
CODEX = f"# AGENTS.md instructions for /home/me/x\n\n<INSTRUCTIONS>\n{BIG}</INSTRUCTIONS>"
ENVIRONMENT = "<environment_context>\n  <cwd>/x</cwd>\n  <shell>bash</shell>\n</environment_context>"
DETAILS = f"<environment_details>\n# VSCode Visible Files\n{BIG}\n</environment_details>"


@pytest.mark.parametrize(
    "wrapped",
    [
        WORDS,
        f"<system-reminder>\n{BIG}</system-reminder>\n{WORDS}",
        f"{WORDS}\n<system-reminder>one</system-reminder>\n<system-reminder>two</system-reminder>",
        f"<task>\n{WORDS}\n</task>\n{DETAILS}",
        f"<user_message>\n{WORDS}\n</user_message>\n{DETAILS}",
        f"<feedback>{WORDS}</feedback>",
        f"<attached_files>\n{BIG}</attached_files>\n<user_query>\n{WORDS}\n</user_query>",
        f"<attachments>{BIG}</attachments><userRequest>\n{WORDS}\n</userRequest>",
        f"{WORDS}\n\n# *SEARCH/REPLACE block* Rules:\n\n{BIG}",
        f'Called the Read tool with the following input: {{"path": "a"}}\n<file>\n{BIG}</file>\n{WORDS}',
        f"<ide_opened_file>The user opened a.py</ide_opened_file>\n{WORDS}",
    ],
)
def test_what_an_agent_adds_is_taken_off(wrapped):
    assert bare(wrapped) == WORDS
    assert Request(({"role": "system", "content": BIG}, {"role": "user", "content": wrapped})).prompt == WORDS


@pytest.mark.parametrize(
    "nothing", [CODEX, ENVIRONMENT, DETAILS, "[read_file for 'a.py'] Result:\nimport os\n", f"{CODEX}{ENVIRONMENT}"]
)
def test_a_turn_without_a_humans_words_is_not_the_human_turn(nothing):
    turns = ({"role": "user", "content": WORDS}, {"role": "assistant", "content": "x"})
    assert bare(nothing) == ""
    assert Request((*turns, {"role": "user", "content": nothing})).prompt == WORDS
    assert Request(({"role": "user", "content": nothing},)).prompt == nothing


def test_parts_of_a_message_are_read_together():
    parts = [{"type": "text", "text": "[read_file] Result:\nx"}, {"type": "text", "text": DETAILS}]
    first = {"role": "user", "content": [{"type": "text", "text": f"<task>{WORDS}</task>"}]}
    assert Request((first, {"role": "user", "content": parts})).prompt == WORDS


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "Fix <div> here", "# Title\n\nText", "<task>never closed", "[1, 2]"]
)
def test_a_humans_own_markup_is_left_alone(text):
    assert bare(text) == text


pieces = st.sampled_from(
    [f"<{tag}>" for tag in (*AROUND[:3], *BESIDE[:3])] + [f"</{tag}>" for tag in (*AROUND[:3], *BESIDE[:3])]
) | st.text(max_size=5)


@given(st.lists(pieces, max_size=30).map("".join))
def test_any_nesting_ends_and_adds_nothing(text):
    found = bare(text)
    assert len(found) <= len(text)
    assert all(letter in text for letter in found)
