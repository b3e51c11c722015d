"""Reads puzzles about people in plain English: who is tallest, who finished first, whose car is green."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

from experts.formula import Tree

Task = dict[str, Any]
OPPOSITE = {
    "shorter": "taller", "younger": "older", "slower": "faster", "lighter": "heavier", "smaller": "bigger", "poorer": "richer", "weaker": "stronger",
    "lower": "higher", "cheaper": "dearer", "worse": "better", "colder": "warmer", "nearer": "farther", "closer": "farther", "fewer": "more", "less": "more",
}  # fmt: skip
SAME = {"larger": "bigger", "quicker": "faster", "hotter": "warmer", "further": "farther", "wealthier": "richer"}
SUPERLATIVE = {
    "best": "better",
    "worst": "worse",
    "most": "more",
    "least": "less",
    "farthest": "farther",
    "furthest": "farther",
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
NOT_NAMES = re.compile(
    r"A|An|The|If|Who|Which|What|Is|Are|Was|Does|Do|Did|Can|Must|Give|Reply|Answer|Just|Only|One|Two|Three|Four|Five|Six|Each|Every|All|No|Some|In|On|At|Then|So|We|They|He|She|It|There|Their|Think|Work|Be|Short|Here|Consider|Suppose|Please|From|By|For|With|Exactly|Nobody|Everyone|Tell|End|Say|Name|State|Use|How|Where|When|Yes|And|But|Also|Based|Given|Of|To|As|First|Last|Neither|Either|Both|Not|None|Write|Return|Show|Knights|Knaves|Knight|Knave|Respond|Explain"
)
PASTS = r"(?:finished|arrived|came|ended|crossed the line|was placed|placed|ranked|is|was|stands?|sits?|sat|got in)"


def people(text: str) -> list[str]:
    """The capitalized names of a text."""
    return [word for word in dict.fromkeys(re.findall(r"\b[A-Z][a-z]*\b", text)) if not NOT_NAMES.fullmatch(word)]


def ordering(text: str, sentences: list[str]) -> Task | None:
    """Comparisons and places: "Dee is taller than Bo. Who is the tallest?" """
    names = people(text)
    if not 2 <= len(names) <= 8:
        return None
    premises: list[Tree] = []
    asked: dict[str, Any] | None = None
    axes: set[str] = set()
    for sentence in sentences:
        if sentence.endswith("?"):
            asked = _asked_order(sentence, names, axes)
            continue
        if len(_mentioned(sentence, names)) == len(names) > 2 and _order(sentence, names, axes) is None:
            continue  # who they are
        for part in re.split(r",? (?:and|but) (?=[A-Z])|; |, (?=[A-Z][a-z]* (?:is|was|finished|came) )", sentence):
            fact = _order(part, names, axes)
            if fact is None and _relevant(part, names):
                return None
            premises += [fact] if fact else []
    if asked is None or not premises or len(axes) > 1:
        return None
    if "place" in axes:
        premises += _places(names)
    return {**asked, "premises": premises}


def _relevant(sentence: str, names: list[str]) -> bool:
    """Whether a sentence that was not understood may matter: it speaks of one or two of the people."""
    return 1 <= sum(bool(re.search(rf"\b{name}\b", sentence)) for name in names) < 3 or " than " in sentence


def _places(names: list[str]) -> list[Tree]:
    found: list[Tree] = []
    for number, name in enumerate(names):
        found += [[">=", ["name", name], ["num", "1"]], ["<=", ["name", name], ["num", str(len(names))]]]
        found += [["!=", ["name", name], ["name", other]] for other in names[:number]]
    return found


def _axis(word: str) -> tuple[str, bool]:
    """The scale that a comparative is on, and whether it points up it."""
    word = SAME.get(word, word)
    return (OPPOSITE[word], False) if word in OPPOSITE else (word, True)


def _order(sentence: str, names: list[str], axes: set[str]) -> Tree | None:
    sentence = sentence.strip(" .,?")
    one = "|".join(names)
    match = re.fullmatch(
        rf"(?:.* )?({one}) (?:is|was|runs|earns|has|scored|weighs|jumps|lives) (not )?(?:much |slightly |a bit |\d+ \w+ )?(\w+er|more|less|fewer|better|worse)(?: \w+)? than ({one})",
        sentence,
    )
    if match:
        axis, up = _axis(match.group(3))
        axes.add(axis)
        sign = (">" if up else "<") if not match.group(2) else ("<=" if up else ">=")
        return [sign, ["name", match.group(1)], ["name", match.group(4)]]
    match = re.fullmatch(
        rf"(?:.* )?({one}) {PASTS} (not )?(immediately |directly |right |just |somewhere |sometime )?(before|after|ahead of|behind)(?: both)? ({one})(?: and ({one}))?",
        sentence,
    )
    if match:
        return _relative(match, axes)
    match = re.fullmatch(
        rf"(?:.* )?({one}) (?:{PASTS}|did) (not |neither |n't )?(?:finish |come |arrive )?(?:in )?(?:the )?({'|'.join(ORDINALS)}|last)(?: place)?(?: (?:n?or) (?:in )?({'|'.join(ORDINALS)}|last))?",
        sentence,
    )
    if match is None:
        return None
    axes.add("place")
    facts = [["=", ["name", match.group(1)], _place(word, len(names))] for word in match.groups()[2:] if word]
    if match.group(2):
        return ["and", *(["not", fact] for fact in facts)]
    return ["or", *facts]


def _relative(match: re.Match[str], axes: set[str]) -> Tree:
    axes.add("place")
    one, negated, directly, where, *others = match.groups()
    step: Tree = ["num", "1"]
    facts: list[Tree] = []
    for other in filter(None, others):
        first, second = (one, other) if where in ("before", "ahead of") else (other, one)
        next_to = directly and directly.strip() in ("immediately", "directly", "right", "just")
        facts.append(
            ["=", ["name", second], ["+", ["name", first], step]]
            if next_to
            else ["<", ["name", first], ["name", second]]
        )
    return ["not", ["and", *facts]] if negated else ["and", *facts]


def _place(word: str, count: int) -> Tree:
    return ["num", str(count if word == "last" else ORDINALS.index(word) + 1)]


def _asked_order(sentence: str, names: list[str], axes: set[str]) -> dict[str, Any] | None:
    text = sentence.strip(" ?")
    best = re.search(r"\b(?:[Ww]ho|[Ww]hich(?: \w+)?|[Nn]ame|person)\b.*\b(\w+est|best|worst|most|least)\b", text)
    if best:
        word = SUPERLATIVE.get(best.group(1)) or re.sub(r"est$", "er", best.group(1))
        rank = re.search(rf"\b({'|'.join(ORDINALS)})[ -](?={best.group(1)})", text)
        return _ranked(names, ">" if _axis(word)[1] else "<", ORDINALS.index(rank.group(1)) if rank else 0)
    middle = re.search(r"\b[Ww]ho\b.*\bmiddle\b", text)
    placed = re.search(rf"\b(?:[Ww]ho|[Ww]hich(?: \w+)?)\b.*\b({'|'.join(ORDINALS)}|last|won|winner)\b", text)
    if placed or (middle and len(names) % 2):
        word = placed.group(1) if placed else ORDINALS[len(names) // 2]
        goal = _place("first" if word in ("won", "winner") else word, len(names))
        axes.add("place")
        return choice(names, lambda name: ["=", ["name", name], goal])
    claim = re.sub(
        r"^(?:.*?\b)?(?:[Ii]s|[Dd]oes it follow that|[Cc]an we conclude that|[Ww]as|[Dd]id|[Mm]ust) ", "", text
    )
    one = "|".join(names)
    claim = re.sub(rf"^({one}) (?!is |was |finished )(?:finish |come |arrive |be )?", r"\1 is ", claim)
    fact = _order(claim, names, axes)
    return {"kind": "entails", "claim": fact} if fact else None


def _ranked(names: list[str], sign: str, above: int) -> dict[str, Any]:
    """Whom exactly so many others are above."""

    def claim(name: str) -> Tree:
        others = [other for other in names if other != name]
        return ["or", *(["and", *(_beats(name, other, sign, other in better) for other in others)]
                        for better in combinations(others, above))]  # fmt: skip

    return choice(names, claim)


def _beats(name: str, other: str, sign: str, other_is_better: bool) -> Tree:
    return [sign, ["name", other], ["name", name]] if other_is_better else [sign, ["name", name], ["name", other]]


def choice(names: list[str], claim: Callable[[str], Tree]) -> dict[str, Any]:
    """Which of the people a claim is true of."""
    return {"kind": "choose", "candidates": [[name, claim(name)] for name in names]}


def assignment(text: str, sentences: list[str]) -> Task | None:
    """Each person has another of the things: "one red, one blue, one green. Flo's car is not green." """
    names = people(text)
    things = _things(sentences[0]) if sentences else []
    if len(names) != len(things) or not 2 <= len(names) <= 6:
        return None
    premises, asked = _places(names), None
    for sentence in sentences[1:]:
        if sentence.endswith("?"):
            asked = _asked_thing(sentence, names, things)
            continue
        for part in re.split(r"; |,? (?:and|but) (?=[A-Z])", sentence):
            facts = _owns(part, names, things)
            if facts is None:
                return None
            premises += facts
    if asked is None:
        return None
    legend = {str(number + 1): thing for number, thing in enumerate(things)}
    return {**asked, "premises": premises, "legend": legend}


def _things(sentence: str) -> list[str]:
    """The things of a list such as "one red, one blue, one green", "a cat, a dog and a fish", "red, blue or green"."""
    listed = re.search(
        r"(?:^|[:(,] ?|\b(?:owns?|has|have|likes?|plays?|drinks?|pets?|colou?rs?|of|from|are) )((?:(?:one|an?|the) )?[a-z]+(?:, (?:(?:one|an?|the) )?[a-z]+)+,? ?(?:and |or )?(?:(?:one|an?|the) )?[a-z]+)",
        sentence,
    )
    if listed is None:
        return []
    parts = re.split(r",? (?:and|or) |, ", listed.group(1))
    return [re.sub(r"^(?:one|an?|the) ", "", part).strip() for part in parts]


def _mentioned(sentence: str, words: list[str]) -> list[str]:
    return [word for word in words if re.search(rf"\b{re.escape(word)}\b", sentence)]


def _owns(sentence: str, names: list[str], things: list[str]) -> list[Tree] | None:
    who, what = _mentioned(sentence, names), _mentioned(sentence, things)
    if not what:
        return [] if len(who) != 1 else None
    if not who:
        return []
    negative = bool(re.search(r"\bnot\b|n't\b|\bneither\b|\bnor\b|\bnever\b|\bno\b", sentence))
    if len(who) > 1 and not (negative and len(what) == 1):
        return [] if len(who) == len(names) else None
    facts: list[Tree] = [["=", ["name", name], ["num", str(things.index(thing) + 1)]] for name in who for thing in what]
    if negative:
        return [["not", fact] for fact in facts]
    return [["or", *facts]]


def _asked_thing(sentence: str, names: list[str], things: list[str]) -> dict[str, Any] | None:
    who, what = _mentioned(sentence, names), _mentioned(sentence, things)
    if len(who) == 1 and not what:
        return {
            "kind": "choose",
            "candidates": [
                [thing, ["=", ["name", who[0]], ["num", str(number + 1)]]] for number, thing in enumerate(things)
            ],
        }
    if len(what) == 1 and not who:
        goal: Tree = ["num", str(things.index(what[0]) + 1)]
        return choice(names, lambda name: ["=", ["name", name], goal])
    if len(what) == 1 and len(who) == 1:
        return {"kind": "entails", "claim": ["=", ["name", who[0]], ["num", str(things.index(what[0]) + 1)]]}
    return None
