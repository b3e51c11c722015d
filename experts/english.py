"""Makes plain English about numbers uniform: signs, number words, and phrases such as "the sum of" become symbols."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_CHARACTERS = 4000
SIGNS = str.maketrans(
    {
        **dict.fromkeys("×·∗⋅✕", "*"),
        **dict.fromkeys("−–—‐‑", "-"),
        **dict.fromkeys("$€£`", " "),
        **dict.fromkeys("\u00a0\u2009\u202f", " "),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("‘’", "'"),
        "÷": "/",
        "²": "^2",
        "³": "^3",
        "⁴": "^4",
        "√": " sqrt ",
        "π": " pi ",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "∞": " infinity ",
        "½": "(1/2)",
        "¼": "(1/4)",
        "¾": "(3/4)",
        "→": "->",
        "⇒": "->",
        "↔": "<->",
        "∧": " and ",
        "∨": " or ",
        "¬": " not ",
    }
)
LATEX = (
    (r"\\d?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)"),
    (r"\^\s*\{([^{}]*)\}", r"^(\1)"),
    (r"\\(?:times|cdot|ast)\b", "*"),
    (r"\\div\b", "/"),
    (r"\\(?:left|right|displaystyle)\b|\\[()\[\],;! ]", " "),
    (r"\\(leq?|geq?|neq?)\b", lambda match: {"l": "<=", "g": ">=", "n": "!="}[match.group(1)[0]]),
    (r"\\(?=(?:pi|sin|cos|tan|ln|log|exp)\b)", ""),
    (r"\\%", "%"),
)
SMALL_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
               "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
SMALL = {word: value for value, word in enumerate(SMALL_WORDS)}
TEN_WORDS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
TENS = {word: value for value, word in zip(range(20, 100, 10), TEN_WORDS, strict=True)}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
PART_WORDS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")
PARTS = {name: value for value, word in enumerate(PART_WORDS, 3) for name in (word, word + "s")}
PARTS |= {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
WORD = "|".join(sorted([*SMALL, *TENS, *SCALES], key=len, reverse=True))
NUMBER_WORDS = re.compile(rf"\b(?:a\s+(?=hundred|thousand|million)|)(?:{WORD})(?:(?:\s+and\s+|[\s-]+)(?:{WORD}))*\b")
FRACTION = re.compile(rf"\b(\d+|an?)[\s-]+({'|'.join(PARTS)})\b(?!\s+(?:derivative|degree|order|power|root))")
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")


def plain(text: str) -> str:
    """Lower case, one kind of each sign, LaTeX undone, number words as digits."""
    text = text[:MAX_CHARACTERS].translate(SIGNS)
    if "\\" in text:
        for pattern, replacement in LATEX:
            text = re.sub(pattern, replacement, text)
    text = text.lower()
    if not re.search(r"\w\(\s*\d+,\d", text):
        text = THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    text = NUMBER_WORDS.sub(_number, text)
    text = re.sub(r"\b(\d+)\s+and\s+a\s+half\b", r"\1.5", text)
    text = re.sub(r"(?<![\d./])(\d+)\s+(\d+/\d+)\b(?!\s*[\d(])", r"(\1 + \2)", text)
    text = re.sub(r"\bhalf\s+a\s+dozen\b", "6", text)
    text = re.sub(r"\b(?:a\s+)?dozen\b", "12", text)
    return FRACTION.sub(_fraction, text)


def _number(match: re.Match[str]) -> str:
    """The digits of "three hundred and five"; of "two and three" it stays two numbers."""
    words = re.split(r"([\s-]+)", match.group())
    done: list[str] = []
    total = part = 0
    last: str | None = None
    for word in words:
        if word == "and" or not word.strip(" -\n\t") or word == "a":
            continue
        if last is not None and not _joins(last, word):
            done.append(str(total + part))
            total = part = 0
        total, part = _grown(total, part, word)
        last = word
    joint = " and " if re.search(r"\band\b", match.group()) else " "
    return joint.join([*done, str(total + part)])


def _joins(last: str, word: str) -> bool:
    if word in SCALES:
        return True
    if last in SCALES:
        return True
    return last in TENS and 0 < SMALL.get(word, 0) < 10


def _grown(total: int, part: int, word: str) -> tuple[int, int]:
    if word == "hundred":
        return total, (part or 1) * 100
    if word in SCALES:
        return total + (part or 1) * SCALES[word], 0
    return total, part + SMALL.get(word, 0) + TENS.get(word, 0)


def _fraction(match: re.Match[str]) -> str:
    count = match.group(1) if match.group(1).isdigit() else "1"
    return f"({count}/{PARTS[match.group(2)]})"


def sentences(text: str) -> list[str]:
    """The sentences of a text, without their last stop; decimals and factorials stay whole."""
    text = re.sub(r"(?<=[a-z][a-z])!+", ".", text)
    found = re.split(r"(?<=[.?])\s+|\n+|[.?]*\s*$|\s*[?]\s*", text)
    return [part.strip().rstrip(".?").strip() for part in found if part and part.strip(" .?!")]


def rewrite(text: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    """Applies rules in order; each at most a few times, so that nested phrases are read too."""
    for pattern, replacement in rules:
        for _ in range(4):
            changed = pattern.sub(replacement, text)
            if changed == text:
                break
            text = changed
    return text
