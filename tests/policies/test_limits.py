"""Which budgets and rates a call meets."""

import pytest

from policies.limits import Limit, Rate, bucket_of, charges
from policies.periods import Period

SCOPES = {"org": "acme", "team": "ml", "key": "k1", "user": "u 7/\x00", "expert": "large"}


def test_a_limit_without_scope_covers_everything():
    assert bucket_of("all", (), {}) == "all"


def test_a_limit_applies_if_all_its_scopes_do():
    assert bucket_of("both", ("team:ml", "expert:large"), SCOPES) == "both"
    assert bucket_of("both", ("team:ml", "expert:small"), SCOPES) is None
    assert bucket_of("both", ("team:ml",), {}) is None


def test_a_star_gives_each_its_own_account():
    assert bucket_of("each", ("key:*", "team:ml"), SCOPES) == "each key:k1"


def test_strange_names_are_hashed_and_stay_apart():
    one, two = (str(bucket_of("each", ("user:*",), {"user": user})) for user in ("u 7/\x00", "u 8/\x00"))
    assert one != two
    assert one.startswith("each user:#")


def test_charges_are_in_the_order_in_which_accounts_are_locked():
    limits = [Limit("month", 9, ("team:ml",), Period("month")), Limit("day", 1), Limit("other", 1, ("team:x",))]
    found = charges(limits, [Rate("fast", ("key:*",), requests_per_minute=5)], SCOPES, 1_790_000_000.0)
    assert [charge.bucket for charge in found] == ["day", "month", "~fast key:k1"]
    assert [charge.end is None for charge in found] == [False, False, True]


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: Limit("two words", 1), "use letters"),
        (lambda: Limit("day", -1), "at least 0"),
        (lambda: Limit("day", 1, ("group:x",)), "such as team:NAME"),
        (lambda: Limit("day", 1, ("team:",)), "such as team:NAME"),
        (lambda: Rate("fast", concurrent=0), "at least 1"),
    ],
)
def test_senseless_limits_are_errors(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_a_total_has_no_time_to_last_for():
    with pytest.raises(ValueError, match="steer needs another period"):
        Limit("all", 1.0, period=Period("total"), steer=True)
