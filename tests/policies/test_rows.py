"""Lines of the ledger that are written in parts are as if they had been written whole."""

import msgspec
import pytest

from experts.base import Request
from policies.base import Ask, State
from policies.rows import Alike, Line, decided, decode, encode
from routers.base import Estimate

ESTIMATES = {"small": Estimate("small", 0.5, 0.1, 1_000, 2_000, 0.7), "large": Estimate("large", 0.9, 0.1, 10, 20, 7.0)}
ASK = Ask(("small",), True, 0.25, "cheap, and as good as any")


@pytest.mark.parametrize("allowance", [None, 0, 10**15])
def test_a_decision_that_was_foreseen_has_the_line_of_any_other(allowance):
    def line(name: str, time: float, draw: float, allowance: int | None) -> Line:
        request = Request(({"role": "user", "content": name},), id=name)
        return *decided(State(request, ESTIMATES, (), allowance, draw), ASK, 0, time, "k\u00fc", "auto"), "hash"

    alike = Alike.of(line("one", 0.0, 0.0, None))
    request = Request(({"role": "user", "content": "other"},), id="other")
    made, whole = alike.line(request, 1.7e9, 0.3, allowance), line("other", 1.7e9, 0.3, allowance)
    assert encode(made) == encode(whole)
    assert decode(b"[%b]" % encode(made)) == [list(msgspec.json.decode(encode(whole)))]
