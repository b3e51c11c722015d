"""What was worked out of an object is found again, and never mistaken for another's."""

from __future__ import annotations

from policies.recall import Recall


def test_an_object_is_looked_at_once_until_it_makes_room(monkeypatch):
    monkeypatch.setattr("policies.recall.MOST", 2)
    seen: list[str] = []

    def loud(each: dict[str, str]) -> str:
        seen.append(each["name"])
        return each["name"].upper()

    recalled = Recall(loud)
    one, two, three = ({"name": name} for name in ("one", "two", "three"))
    assert [recalled(each) for each in (one, two, one, three, one)] == ["ONE", "TWO", "ONE", "THREE", "ONE"]
    assert seen == ["one", "two", "three", "one"]


def test_equal_objects_are_told_apart():
    recalled: Recall[dict[str, int], int] = Recall(id)
    one, other = {"a": 1}, {"a": 1}
    assert recalled(one) == id(one)
    assert recalled(other) == id(other)
