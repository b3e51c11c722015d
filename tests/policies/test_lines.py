"""Lines of the ledger that are written in parts are as if they had been written whole."""

import msgspec
import pytest

from experts.base import Request
from policies.base import Ask, State
from policies.lines import OPENED, Alike, closed, written
from policies.payers import Seen
from policies.rows import LARGEST, SETTLED, Line, brought, decided, decode, encode
from routers.base import Estimate
from tests.policies.test_ledger import ANSWER

ESTIMATES = {"small": Estimate("small", 0.5, 0.1, 1_000, 2_000, 0.7), "large": Estimate("large", 0.9, 0.1, 10, 20, 7.0)}
ASK = Ask(("small",), True, 0.25, "cheap, and as good as any")


def test_what_is_the_same_in_many_decisions_stands_in_their_lines_as_it_would_in_any():
    def line(name: str, time: float, draw: float, allowance: int | None) -> Line:
        request = Request(({"role": "user", "content": name},), id=name)
        return *decided(State(request, ESTIMATES, (), allowance, draw), ASK, 0, time, "k\u00fc", "auto"), "hash"

    alike, whole = Alike.of(line("one", 0.0, 0.0, None)), line("other", 1.7e9, 0.3, 7)
    made = (*whole[:4], alike.who, *whole[12:14], alike.why, whole[15], alike.rest)
    assert encode(made) == encode(whole)


def test_an_outcome_and_its_settlement_are_the_same_as_one_list_or_as_one_within_another():
    row = brought("d1", 0, ANSWER, 1.0, "price")
    booked = [(Seen("day", 7).head, 5, 6)]
    flat, nested = (OPENED, *row[1:-1], closed("price"), 9, 8, booked), (SETTLED, row, "settled", 9, 8, booked)
    assert encode(flat) == encode(nested)
    settlement = decode(encode([flat]))[1]
    assert settlement == ["settlement", "d1", 0, "small", 1.0, "settled", 9, 8, "price", [["day", 7, None, 5, 6]]]


@pytest.mark.parametrize(
    ("bucket", "limit", "told"),
    [
        ("day key:k\u00fc", None, ["day key:k\u00fc", 7, None]),
        ("day", 1 << 70, ["day", 7, LARGEST]),
        ("user:\ud800", 5, ["user:?", 7, 5]),
    ],
)
def test_an_account_tells_beforehand_how_the_ledger_names_it(bucket, limit, told):
    seen = Seen(bucket, 7)
    seen.of(limit)
    assert msgspec.json.decode(encode([seen.head])) == told
    assert bytes(written(("a", 1))) == b'"a",1'
