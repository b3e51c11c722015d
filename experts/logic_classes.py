"""Reads syllogisms in plain English: what all, some or no things of a kind are, and what a named thing is."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from typing import Any

from experts.formula import Tree
from experts.logic_reader import split, stem

Task = dict[str, Any]
VERB = r"(?:is|are|was|were|must be|can be|will be)"
NEVER = r"(?:not|never)"
FORMS = tuple(
    (re.compile(pattern), shape)
    for pattern, shape in (
        (rf"(?:it is not the case that |not )(?:all|every|each) (.+?) {VERB} (.+)", "some not"),
        (rf"(?:all|every|each|any)(?: of)?(?: the)? (.+?) {VERB} {NEVER} (.+)", "no"),
        (
            rf"(?:all|every|each|any|whatever is|anything that is|everything that is|everyone who is)(?: of)?(?: the)? (.+?) {VERB} (.+)",
            "all",
        ),
        (rf"only (.+?) {VERB} (.+)", "only"),
        (rf"(?:no|none of the) (.+?) {VERB} (.+)", "no"),
        (
            rf"(?:some|at least one|there (?:is|are) (?:some |a |an )?|there exists? an?|a few|many|most)(?: of)?(?: the)? (.+?) (?:that |which |who )?{VERB} {NEVER} (.+)",
            "some not",
        ),
        (
            rf"(?:some|at least one|there (?:is|are) (?:some |a |an )?|there exists? an?|a few)(?: of)?(?: the)? (.+?) (?:that |which |who )?{VERB} (.+)",
            "some",
        ),
        (rf"([a-z]+|the [a-z]+|my [a-z]+|this [a-z]+) {VERB} {NEVER} (.+)", "is not"),
        (rf"([a-z]+|the [a-z]+|my [a-z]+|this [a-z]+) {VERB} (.+)", "is"),
        (r"(?:all|every|each|any)(?: the)? ([a-z]+) (?:cannot|can not|do not|does not|never) (.+)", "no"),
        (r"some ([a-z]+) (?:cannot|can not|do not|does not|never) (.+)", "some not"),
        (r"(?:all|every|each|any)(?: the)? ([a-z]+) (.+)", "all"),
        (r"no ([a-z]+) (.+)", "no"),
        (r"some ([a-z]+) (.+)", "some"),
        (r"([a-z]+) (?:cannot|can not|does not|do not|never) (.+)", "is not"),
        (r"((?!all|every|no|some|only)[a-z]+) (.+)", "is"),
    )
)
FILLER = re.compile(r"an?|the|some|kind|of|things?|that|which|who|are|is|can|do|does")
GENERAL = re.compile(r"\b(?:all|every|each|no|none|some|only|any|everything|everyone|anything|not all)\b")


def syllogism(sentences: list[str]) -> Task | None:
    """Premises about classes and the claim that is asked to follow."""
    parted = split(sentences)
    if parted is None or not any(GENERAL.match(premise) for premise in parted[0]):
        return None
    premises, claim = parted
    parts = [
        part
        for premise in premises
        for part in re.split(r",? and (?=(?:all|every|each|no|some|only) )|, (?=(?:all|every|no|some|only) )", premise)
    ]
    trees = [_form(part) for part in parts]
    goal = _form(claim)
    if goal is None or any(tree is None for tree in trees):
        return None
    known = {name for tree in trees if tree for name in _predicates(tree)}
    if not _predicates(goal) <= known:
        return None
    return {"kind": "entails", "premises": trees, "claim": goal}


def _form(sentence: str) -> Tree | None:
    sentence = re.sub(r"^(?:that|then|therefore|so) ", "", sentence.strip(" ,.;:'\""))
    sentence = re.sub(r"\b(?:also|therefore|definitely|necessarily|always|certainly|indeed)\s+", "", sentence)
    sentence = re.sub(r"\b(isn't|aren't)\b", "is not", sentence)
    for pattern, shape in FORMS:
        match = pattern.fullmatch(sentence)
        if match:
            return _shaped(shape, match.group(1), match.group(2))
    return None


def _shaped(shape: str, left: str, right: str) -> Tree:
    if shape in ("is", "is not"):
        fact: Tree = ["holds", predicate(right), re.sub(r"^(?:the|my|this) ", "", left)]
        return ["not", fact] if shape == "is not" else fact
    one: Tree = ["holds", predicate(left), "v"]
    other: Tree = ["holds", predicate(right), "v"]
    if shape == "only":
        one, other = other, one
    if shape in ("no", "some not"):
        other = ["not", other]
    joined = ["and", one, other] if shape.startswith("some") else ["implies", one, other]
    return ["some" if shape.startswith("some") else "every", "v", joined]


def predicate(words: str) -> str:
    """One name for a class, in singular, without articles and auxiliary verbs."""
    kept = [word for word in re.findall(r"[a-z]+", words) if not FILLER.fullmatch(word)]
    return "_".join(stem(word) for word in kept) or "thing"


def _predicates(tree: Tree) -> set[str]:
    if tree[0] == "holds":
        return {tree[1]}
    return {name for part in tree[1:] if isinstance(part, list) for name in _predicates(part)}
