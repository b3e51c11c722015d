"""The phrases of English arithmetic and the symbols that stand for them."""

# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re


def _rules(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


PHRASES = _rules(
    (r"\b(?:the )?(?:fractions|numbers|integers|decimals|values|monomials|polynomials)\b:?(?= *[-\d(])", " "),
    (r"\b(?:the )?remainder (?:left over )?(?:when|if|after|of|from) (?:dividing )?(.+?) (?:is |are )?(?:divided )?by (.+)$", r"rem((\1), (\2))"),
    (r"\b(?:the )?(?:integer |whole )?quotient (?:when|if) (.+?) is divided by (.+)$", r"quo((\1), (\2))"),
    (r"^(?:you |i |we )?divide (.+?) by (.+)$", r"(\1) / (\2)"),
    (r"^(?:you |i |we )?multiply (.+?) (?:by|and|with) (.+)$", r"(\1) * (\2)"),
    (r"^(?:you |i |we )?(?:subtract|take(?: away)?|deduct) (.+?) from (.+)$", r"(\2) - (\1)"),
    (r"^(?:you |i |we )?add (.+?) (?:to|and) (.+)$", r"(\1) + (\2)"),
    (r"^(?:you |i |we )?raise (.+?) to (?:the )?(?:power (?:of )?)?(.+)$", r"(\1) ^ (\2)"),
    (r"^(.+?) (?:is |when |being )?(?:subtracted|deducted|taken away|taken) from (.+)$", r"(\2) - (\1)"),
    (r"^(.+?) (?:is |when )?added to (.+)$", r"(\1) + (\2)"),
    (r"\bincrease (.+?) by\b", r"\1 increased_by"),
    (r"\b(?:decrease|reduce|discount) (.+?) by\b", r"\1 decreased_by"),
    (r"\b(?:is )?(?:increased|raised) by\b", "increased_by"),
    (r"\b(?:is )?(?:decreased|reduced|diminished|discounted|lowered) by\b", "decreased_by"),
    (r"([\d.]+ ?(?:%|percent|per cent)) off (?:of )?(.+)$", r"(\2) decreased_by \1"),
    (r"([\d.]+ ?(?:%|percent|per cent)) (?:more|greater|larger|higher) than (.+)$", r"(\2) increased_by \1"),
    (r"([\d.]+ ?(?:%|percent|per cent)) (?:less|fewer|lower|smaller) than (.+)$", r"(\2) decreased_by \1"),
    (r"\b(?:greatest|highest|largest) common (?:divisor|factor|denominator)\b|\bhcf\b|\bgcf\b", "gcd"),
    (r"\b(?:least|lowest|smallest) common multiple\b", "lcm"),
    (r"\b(gcd|lcm|mean|max|min|median)\s*(?:of|for)\s*", r"\1 "),
    (r"\b(?:arithmetic )?(?:average|mean)(?: value)?(?: of)?\s+(?:the )?(?:numbers? |values? )?", "mean "),
    (r"\bmedian(?: value)?(?: of)?\s+(?:the )?(?:numbers? |values? )?", "median "),
    (r"\b(?:largest|greatest|biggest|maximum|highest)(?: number| value)?(?: among| of| in|:)\s*", "max "),
    (r"\b(?:smallest|least|minimum|lowest)(?: number| value)?(?: among| of| in|:)\s*", "min "),
    (r"\bsum of (?:the )?(?:digits|digit) (?:of|in) ", "digit_sum "),
    (r"\bdigit sum of ", "digit_sum "),
    (r"\bsum of (?:all )?(?:the )?(?:first )?(?:positive )?(?:integers|numbers|natural numbers|whole numbers) (?:from|between) (\d+) (?:to|and|through) (\d+)(?: inclusive)?", r"((\1 + \2) * (\2 - \1 + 1) / 2)"),
    (r"\bsum of the first (\d+) (?:positive )?(?:integers|numbers|natural numbers|whole numbers|counting numbers)", r"(\1 * (\1 + 1) / 2)"),
    (r"\bsum of the first (\d+) (?:positive )?odd (?:integers|numbers)", r"(\1 ^ 2)"),
    (r"\bsum of the first (\d+) (?:positive )?even (?:integers|numbers)", r"(\1 * (\1 + 1))"),
    (r"\b(?:the )?number of (?:positive )?(?:divisors|factors) (?:of|does|that) ", "divisor_count "),
    (r"\bhow many (?:positive )?(?:divisors|factors) does (\d+) have", r"divisor_count \1"),
    (r"\bsum (?:of|between) ", "sum_of "),
    (r"\bproduct of ", "product_of "),
    (r"\bdifference (?:between|of) ", "difference_of "),
    (r"\bquotient of ", "quotient_of "),
    (r"\bsquare[ -]root (?:of|from) |\bthe root of (?=\d)", "sqrt "),
    (r"\bcube[ -]root of ", "cbrt "),
    (r"\bsquare of ", "square_of "),
    (r"\bcube of ", "cube_of "),
    (r"\babsolute value of ", "abs "),
    (r"\bfactorial of ", "factorial "),
    (r"(\w|\)) factorial\b", r"\1!"),
    (r"\bnatural log(?:arithm)?(?: of)?\b", "ln"),
    (r"\blog(?:arithm)?(?:,)?(?: to)?(?: the)? base[ -](\w+)(?: of)? (\w+)", r"log(\2, \1)"),
    (r"\blog_?\{?(\d+)\}?\s*\(", r"(1 / log(\1)) * log("),
    (r"\blog(?:arithm)?(?: of (\w+))?,? (?:in|to|with) (?:the )?base (\w+)", r"log(\1, \2)"),
    (r"\blogarithm(?: of)?\b|\blog of\b", "log"),
    (r"\bcosine(?: of)?\b", "cos"),
    (r"\bsine(?: of)?\b", "sin"),
    (r"\btangent of\b", "tan"),
    (r"\b(\d+) (?:choose|c) (\d+)\b|\bc\((\d+), ?(\d+)\)", r"binomial(\1\3, \2\4)"),
    (r"\bnumber of ways (?:to|of|you can) (?:choos|pick|select)(?:e|ing)? (\d+) (?:[a-z]+ )*?(?:from|out of|among) (?:a (?:group|set|class|team) of )?(\d+)(?: [a-z]+)*", r"binomial(\2, \1)"),
    (r"\bhow many ways (?:can (?:you|we|i|one)|are there to|to) (?:choose|pick|select) (\d+) (?:[a-z]+ )*?(?:from|out of|among) (?:a (?:group|set|class|team) of )?(\d+)(?: [a-z]+)*", r"binomial(\2, \1)"),
    (r"\b(\d+)(?:st|nd|rd|th) fibonacci number\b", r"fibonacci \1"),
    (r"\b(?:next|smallest|first) prime(?: number)? (?:after|above|greater than|larger than|bigger than) ", "nextprime "),
    (r"\b(?:is |are )?(?:multiplied by|times)\b", "*"),
    (r"(?<=\d)\s*x\s*(?=\d)", " * "),
    (r"\b(?:is |are )?(?:divided by|over)\b", "/"),
    (r"\b(?:modulo|modulus)\b", "mod"),
    (r"\b(?:is )?(?:raised )?to the power(?: of)?\b|\braised to\b", "^"),
    (r"\bto the (\d+)(?:st|nd|rd|th)(?: power)?\b", r"^\1"),
    (r"\bto the \(1/(\d+)\)(?: power)?", r"^\1"),
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"\bplus\b", "+"),
    (r"\b(?:minus|less|take away)\b(?! than)", "-"),
    (r"\b(?:percent|per cent|pct)\b", "%"),
    (r"\bnegative (?=[\d(a-z])", "-"),
    (r"\b(?:twice|double)\b(?: of)?", "2 *"),
    (r"\b(?:thrice|triple)\b(?: of)?", "3 *"),
    (r"\bhalf\b(?: of)?", "(1/2) *"),
    (r"(\S+) less than ", r"(-(\1)) + "),
    (r"(\S+) (?:more|greater) than ", r"\1 + "),
    (r"\b(?:the|of all|all of|exactly|both)\b", " "),
)  # fmt: skip

EQUAL = _rules(
    (r"\b(?:is )?(?:equal(?:s|ed)?(?: to)?|the same as|gives?(?: us| you| me)?|yields?|makes?|results? in|gets?|comes? to|becomes)\b", "="),
    (r"\bis (?:at least|no less than|greater than or equal to)\b", ">="),
    (r"\bis (?:at most|no more than|less than or equal to)\b", "<="),
    (r"\bis (?:greater|more|larger|bigger) than\b", ">"),
    (r"\bis (?:less|smaller|fewer) than\b", "<"),
    (r"\b(?:is|was|are)\b", "="),
)  # fmt: skip

POLITE = re.compile(
    r"^(?:question|problem|exercise|task|q|hi|hello|hey|ok|okay|so|now|well|also|then|please|kindly|quickly|"
    r"quick question|math question|can you|could you|would you|will you|you|i want you to|i'd like you to|"
    r"i would like to know|i'd like to know|i want to know|i wonder|do you know|let's|help me(?: to)?|i need(?: you)?(?: to)?(?: know)?|tell me|"
    r"what(?:'s| is| are| does| do| would be| will be|s)?|how much(?: is| are| does| do)?|calculate|compute|"
    r"evaluate|find(?: out)?|work out|determine|figure out|solve|give(?: me)?|state|"
    r"(?:the )?(?:exact |numerical |numeric |final |total )?(?:value|result|answer|outcome|output|solution) (?:of|to|for|when|if)|"
    r"(?:you |we |i |one )?(?:get|have)(?: when| if)?|if you|when you|if i|when i|if|when|"
    r"(?:the )?(?:expression|calculation|computation|formula|sum|number|arithmetic)(?=[:\s]+[-\d(a-z]*[\d(])|which number is|what number is|result of|the|is it|for me|me)"
    r"\s*[:,;-]?\s+(?!of )"
)
TAIL = re.compile(
    r"[\s,;:=?.]+(?:\?|equals?(?: to)?|equal|=|come to|make|be|give|is|please|for me|thanks|thank you|then|now|"
    r"as a (?:decimal|number|fraction)|in total|altogether|exactly|evaluate to|amount to|work out to|do you get|"
    r"will (?:you|i|we) get|you get|and show.*|showing.*|step by step|using .*|without .*)?[\s,;:?.]*$"
)
INSTRUCTION = re.compile(
    r"^(?:please )?(?:give|reply|respond|answer|show|write|return|provide|just|only|no |explain|think|don't|do not|end|"
    r"finish|put|state|output|use|express|round|leave|your|the (?:final )?answer|let's|keep|include|be |and )\b"
)
MENTIONS_ANSWER = re.compile(
    r"\b(?:answer|number only|just the|only the|only a|only with|number|steps?|explain|explanation|work|working|result|"
    r"reply|respond|words?|decimals?|digits|value|nothing else|expression|brief|concise|lowest terms|simplest)\b"
)


def bare(text: str) -> str:
    """What is left of a question without its courtesy."""
    text = text.strip()
    for _ in range(12):
        shorter = TAIL.sub("", POLITE.sub("", text, count=1)).strip()
        if shorter == text:
            break
        text = shorter
    return text
