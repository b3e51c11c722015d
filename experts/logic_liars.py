"""Reads puzzles of knights, who tell the truth, and knaves, who lie."""

from __future__ import annotations

import re
from typing import Any

from experts.formula import Tree
from experts.logic_puzzles import choice, people

Task = dict[str, Any]


def liars(text: str, sentences: list[str]) -> Task | None:
    """Knights always tell the truth, knaves always lie: "A says: B is a knave." """
    if not re.search(r"\b[Kk]nave|\b[Ll]iars?\b", text):
        return None
    names = [
        name
        for name in people(re.sub(r"\bI\b", "", text)) + re.findall(r"\b[A-Z]\b(?= (?:says|said|claims|is|and))", text)
    ]
    names = [name for name in dict.fromkeys(names) if name != "I"]
    premises: list[Tree] = []
    asked: dict[str, Any] | None = None
    for sentence in sentences:
        said = re.search(
            rf"\b({'|'.join(names) or '-'}) (?:says|said|claims|states|tells you)(?: that)?[:,]? ['\"“]?(.+?)['\"”]?$",
            sentence.strip(" .?"),
        )
        if said:
            statement = _says(said.group(2).strip(" .'\""), said.group(1), names)
            if statement is None:
                return None
            premises.append(["iff", ["name", said.group(1)], statement])
        elif sentence.endswith("?"):
            asked = _asked_liar(sentence, names)
    if asked is None or not premises:
        return None
    return {**asked, "premises": premises, "legend": {name: f"{name} tells the truth" for name in names}}


def _says(text: str, speaker: str, names: list[str]) -> Tree | None:
    one, truth = "|".join([*names, "I"]), "knight|truth-?teller"
    kind = rf"(?:an? )?(not an? )?({truth}|knave|liar)s?"
    match = re.fullmatch(rf"({one}) (?:is|am) {kind}", text)
    if match:
        return _kind(match.group(1), match.group(2), match.group(3), speaker)
    match = re.fullmatch(
        rf"(?:({one}) and ({one})|[Ww]e)(?: are)?(?: both)? {kind}|[Bb]oth (?:of us )?are {kind}",
        text.replace("are both", "are"),
    )
    pair = [match.group(1), match.group(2)] if match and match.group(1) else names
    if match and len(pair) == 2:
        words = [group for group in match.groups()[2:] if group]
        return ["and", *(_kind(name or "", None, words[-1], speaker) for name in pair)]
    match = re.fullmatch(rf"[Aa]t least one of us is {kind}", text)
    if match:
        return ["or", *(_kind(name, match.group(1), match.group(2), speaker) for name in names)]
    match = re.fullmatch(rf"(?:({one}) and ({one})|[Ww]e) are (?:of )?(?:the )?(same|different)(?: \w+)*", text)
    if match and len(pair := [match.group(1), match.group(2)] if match.group(1) else names) == 2:
        left, right = (["name", speaker if name == "I" else name] for name in pair)
        return ["iff" if match.group(3) == "same" else "xor", left, right]
    return None


def _kind(name: str, negated: str | None, kind: str, speaker: str) -> Tree:
    tree: Tree = ["name", speaker if name == "I" else name]
    return ["not", tree] if (kind in ("knave", "liar")) != bool(negated) else tree


def _asked_liar(sentence: str, names: list[str]) -> dict[str, Any] | None:
    match = re.search(rf"\b[Ii]s ({'|'.join(names)}) an? (knight|truth-?teller|knave|liar)\b(?: or an? \w+)?", sentence)
    if match and " or " not in match.group():
        return {"kind": "entails", "claim": _kind(match.group(1), None, match.group(2), "")}
    one = re.search(rf"\b[Ww]hat is ({'|'.join(names)})\b", sentence) or match
    if one:
        return {
            "kind": "choose",
            "candidates": [["knight", ["name", one.group(1)]], ["knave", ["not", ["name", one.group(1)]]]],
        }
    who = re.search(r"\b[Ww]ho is (?:the |an? )?(?:only )?(knight|truth-?teller|knave|liar)\b", sentence)
    return choice(names, lambda name: _kind(name, None, who.group(1), "")) if who else None
