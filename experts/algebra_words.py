"""Reads the common forms of word problems: prices with percentages, purchases, journeys, shared work, shapes.

A form counts only if its formula uses the numbers of the question, all of them and each once (`faithful`).
"""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from collections import Counter

from experts.algebra_expression import Task
from experts.formula import Tree, numbers, parse

NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
COMMON = frozenset({0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 10.0, 12.0, 24.0, 52.0, 60.0, 100.0, 180.0, 360.0, 365.0, 1000.0})
"""Numbers that a formula may hold though the question does not say them: days, minutes, degrees, percent."""
N = r"(\d+(?:\.\d+)?)"
DOWN = re.compile(
    r"\b(?:reduc\w+|discount\w*|decreas\w+|lower\w*|off|falls?|fell|drops?|dropped|cheaper|marked down|loses|cut|less)\b"
)
UP = re.compile(
    r"\b(?:increas\w+|rais\w+|rises?|rose|added|tax|vat|tip|grows?|grew|goes up|went up|marked up|more expensive|interest|gains?)\b"
)
SPEED = re.compile(
    rf"{N} ?(?:km/h|kph|kmh|mph|m/s|(?:km|kilomet(?:er|re)s?|miles?|met(?:er|re)s?) (?:per|an|a|each) (?:hour|second|minute))"
)
TIME = re.compile(rf"{N} ?(hours?|h|minutes?|min|seconds?)\b")
LENGTH = re.compile(
    rf"{N} ?(?:km|kilomet(?:er|re)s?|miles?|m|met(?:er|re)s?)\b(?!/| ?(?:per|an|a|each) (?:hour|second|minute))"
)


def word_problem(text: str) -> Task | None:
    """The formula of a word problem of a common form, or None."""
    for form in (_prices, _purchase, _work, _journey, _shape):
        formula = form(text)
        if formula is not None:
            tree = parse(formula)
            if faithful([tree], text):
                return {"task": "evaluate", "trees": [tree], "unknowns": []}
    return None


def faithful(trees: list[Tree], text: str) -> bool:
    """Whether a formula uses every number of the question, none more often than it is said, and of others only the
    common ones; hours and minutes need a 60 between them. `text` is plain."""
    said = Counter(float(number) for number in NUMBER.findall(text))
    used = Counter(float(number) for tree in trees for number in numbers(tree))
    hundredths = {number / 100: number for number in said} if re.search(r"%|percent", text) else {}
    counted: Counter[float] = Counter()
    for number, times in used.items():
        counted[number if number in said else hundredths.get(number, number)] += times
    mixed = re.search(r"/ ?h\b|per hour|an hour|mph", text) and re.search(r"\bminutes?\b", text)
    if mixed and 60.0 not in used:
        return False
    spare = Counter({1.0: 99, 60.0: 9 if mixed else 0})
    if any(times > said[number] + spare[number] for number, times in counted.items() if number in said):
        return False
    return counted.keys() <= COMMON | said.keys() and said.keys() <= counted.keys() | {1.0}


def _prices(text: str) -> str | None:
    """A price, then changes by percentages, one after the other."""
    base = re.search(
        rf"\b(?:costs?|costing|priced? (?:is|at|of)|price (?:is|was)|worth|sells for|sold for|salary (?:is|of)|earns|bill (?:is|of|comes to)|population (?:is|of)|starts at|is listed at) +{N}(?! ?(?:%|percent))",
        text,
    )
    changes = [(match.start(), match.group(1)) for match in re.finditer(rf"{N} ?(?:%|percent)", text)]
    if (
        base is None
        or not changes
        or re.search(r"\b(?:original|initial|before|previous|old)", text)
        or not re.search(r"\bhow (?:much|many)|\bwhat\b|\bfind\b|\bcalculate\b", text)
    ):
        return None
    formula = base.group(1)
    for place, percent in changes:
        clause = _clause(text, place)
        down, up = bool(DOWN.search(clause)), bool(UP.search(clause))
        if down == up:
            return None
        formula = f"({formula}) * (1 {'-' if down else '+'} {percent}/100)"
    return formula


def _clause(text: str, place: int) -> str:
    """The clause around a place in the text."""
    ends = [match.start() for match in re.finditer(r"\.\s|,|;|\bthen\b|\bafter which\b|\?", text)]
    start = max((end for end in ends if end < place), default=0)
    return text[start : min((end for end in ends if end > place), default=len(text))]


def _purchase(text: str) -> str | None:
    """So many things at so much each; the total, or the change."""
    items = re.findall(
        rf"{N} (?:[a-z]+ ){{1,3}}?(?:at|for|costing|that cost|which cost|priced at)  ?{N}(?: dollars?| euros?| cents?| pounds?)?(?: each| apiece| per \w+| a piece)",
        text,
    )
    if not items:
        return None
    total = " + ".join(f"{count}*{price}" for count, price in items)
    paid = re.search(rf"\b(?:pays?|paid|paying|hands? over|gives)(?: the \w+)?(?: with| using)?(?: an?)? +{N}", text)
    if paid and re.search(r"\b(?:change|left|back)\b", text):
        return f"{paid.group(1)} - ({total})"
    asks = re.search(r"\bhow much\b.*\b(?:pay|cost|spend|total|altogether|owe)\b|\btotal\b", text)
    return total if asks and not paid else None


def _work(text: str) -> str | None:
    """Two who do the same together, each in a time of its own."""
    times = re.findall(rf"{N} (hours?|minutes?|days?)\b", text)
    if len(times) != 2 or times[0][1].rstrip("s") != times[1][1].rstrip("s"):
        return None
    if not re.search(r"\btogether\b|\bboth\b", text) or not re.search(
        r"\b(?:pump|pipe|tap|paint|worker|machine|printer|tank|job|mow|build|fill|empt|dig|clean)", text
    ):
        return None
    return None if re.search(r"\b(?:drain|leak)", text) else f"1 / (1/{times[0][0]} + 1/{times[1][0]})"


def _journey(text: str) -> str | None:
    """Distance, time or average speed of one journey."""
    speeds, times, lengths = SPEED.findall(text), TIME.findall(SPEED.sub(" ", text)), LENGTH.findall(text)
    if re.search(r"\bhow (?:far|many (?:km|kilo|miles|met))|\bdistance\b", text) and len(speeds) == len(times) > 0:
        if lengths and not re.search(r"\b(?:another|further|more|additional|extra)\b", text):
            return None
        legs = [f"{speed} * {_hours(*time)}" for speed, time in zip(speeds, times, strict=True)]
        return " + ".join([*legs, *lengths])
    asked = re.search(r"\bhow (?:long|many (hours|minutes))|\bhow much time\b|\bwhat time\b", text)
    if asked and len(speeds) == 1 and len(lengths) == 1 and not times:
        return f"{lengths[0]} / {speeds[0]}" + (" * 60" if "minutes" in text else "")
    if re.search(r"\bspeed\b|\bhow fast\b", text) and not speeds and len(times) == 1 and len(lengths) == 1:
        return f"{lengths[0]} / {_hours(*times[0])}"
    return None


def _hours(amount: str, unit: str) -> str:
    return f"({amount}/60)" if unit.startswith("min") else amount


def _shape(text: str) -> str | None:
    """Area, perimeter or volume of a simple shape."""
    found = NUMBER.findall(text)
    kind = re.search(r"\b(rectang\w+|square|triangle|circle|cube|box|cuboid|room|garden|field)\b", text)
    asked = re.search(
        r"\b(?:what|find|how|calculate|compute|determine)\b[^.]*\b(area|perimeter|circumference|volume)\b(?! *(?:of|is|:)? *\d)",
        text,
    )
    if (
        kind is None
        or asked is None
        or re.search(r"\b(?:area|perimeter|circumference|volume) *(?:of|is|=|:)? *\d", text)
    ):
        return None
    shape = {"room": "rectangular", "garden": "rectangular", "field": "rectangular", "box": "cuboid"}.get(
        kind.group(1), kind.group(1)
    )
    form = SHAPES.get((shape[:6], asked.group(1), len(found)))
    spoken = re.search(r"\b(?:side|length|width|wide|long|height|base|radius|edge|by|sides)\b", text)
    return (
        form.format(*found) if form and spoken and not re.search(r"\bdiameter|\bdiagonal|\bhypotenuse", text) else None
    )


SHAPES = {
    ("rectan", "area", 2): "{0} * {1}",
    ("rectan", "perimeter", 2): "2 * ({0} + {1})",
    ("square", "area", 1): "{0} ^ 2",
    ("square", "perimeter", 1): "4 * {0}",
    ("triang", "area", 2): "{0} * {1} / 2",
    ("triang", "perimeter", 3): "{0} + {1} + {2}",
    ("circle", "area", 1): "pi * {0} ^ 2",
    ("circle", "circumference", 1): "2 * pi * {0}",
    ("cube", "volume", 1): "{0} ^ 3",
    ("cuboid", "volume", 3): "{0} * {1} * {2}",
}
