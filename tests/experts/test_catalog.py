"""Who can take a request at all: the same experts for the same catalog, fewer for a longer one."""

from __future__ import annotations

from experts import catalog
from experts.card import Card
from experts.catalog import Demand, eligible

TEXT = frozenset({"text"})
SCHOOL = {
    "short": Card(context=100),
    "long": Card(context=1000, tools=True),
    "eyes": Card(context=1000, modalities=frozenset({"text", "image"})),
    "foreign": Card(context=1000, dialects=frozenset({"messages"})),
}


def test_an_expert_takes_what_its_card_allows():
    assert list(eligible(Demand(TEXT, 10, False), SCHOOL)) == ["short", "long", "eyes"]
    assert list(eligible(Demand(TEXT, 100, False), SCHOOL)) == ["long", "eyes"]
    assert list(eligible(Demand(TEXT, 10, True), SCHOOL)) == ["long"]
    assert list(eligible(Demand(frozenset({"image"}), 10, False), SCHOOL)) == ["eyes"]
    assert list(eligible(Demand(TEXT, 10, False, frozenset({"messages"})), SCHOOL)) == ["foreign"]
    assert not eligible(Demand(frozenset({"audio"}), 10, False), SCHOOL)


def test_catalogs_are_told_apart_however_many_there_are(monkeypatch):
    monkeypatch.setattr(catalog, "KNOWN", 2)
    catalog.ABLE.clear()
    for number in range(6):
        assert list(eligible(Demand(TEXT, 10, False), {f"e{number}": Card()})) == [f"e{number}"]
    assert len(catalog.ABLE) <= 2
