"""The chapters of the report's page: what it was worth, who is good at what, what the traffic was."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from bench import draw, page, plots
from bench.page import Cell
from bench.standing import Standing, Way
from bench.statistics import Interval, wilson
from bench.traffic import Traffic
from experts.card import NANO

WORDS = {
    "score": "how right an answer is, from 0 to 1, checked by program",
    "zero router": "the best mixture of single experts that ignores the prompt; a router is worth what it adds to it",
    "oracle": "the best expert of each prompt in hindsight, the cheapest of equals: nobody can reach it",
    "win rate": "share of comparisons with the other experts on a prompt; a tie counts half, two failures nothing",
    "[low, high]": "95 % interval: paired bootstrap over groups of like prompts; Wilson's for shares",
}


def worth(standing: Standing | None, lacks: str) -> str:
    """Cost against quality."""
    title = "Was it worth it?"
    if standing is None:
        return page.section(title, "", page.empty(lacks))
    with draw.figure(9.6, 5.0) as (drawing, axes):
        draw.cost_against_quality(axes, standing.scene)
        picture = draw.svg(drawing)
    note = (
        f"{standing.n} test prompts that the router never saw. The band and the brackets are 95 % intervals; "
        "differences are paired, prompt by prompt, so they are surer than the scores themselves."
    )
    rows = [_way(way, way is standing.ways[0]) for way in standing.ways]
    live = frozenset(i for i, way in enumerate(standing.ways) if way.kind == "policy")
    heads = ("", "score", "$ per 1,000", "score over the best single", "$ per 1,000 over it")
    parts = [sentence(standing), page.plot(picture, "mean score against dollars per 1,000 requests")]
    parts += [page.table(heads, rows, live), page.empty(lacks) if lacks else ""]
    return page.section(title, note, *parts)


def sentence(standing: Standing) -> str:
    """The verdict on the policy in use."""
    live = next((way for way in standing.ways if way.kind == "policy"), None)
    single = standing.ways[0]
    if live is None:
        text = f"No policy is replayed. The best single expert is {single.name}: {_short(single)}."
        return page.verdict(text)
    gain, cost = live.score_over, live.cost_over.value
    kind = "good" if gain.gain else "bad" if gain.loss else ""
    word = {"good": "better than", "bad": "worse than", "": "not distinguishable in score from"}[kind]
    money = (
        f"{abs(cost / single.cost.value) * 100:.0f} % {'less' if cost < 0 else 'more'}"
        if single.cost.value
        else "as much"
    )
    return page.verdict(
        f"The policy in use is {word} the best single expert, {single.name}: {gain.value:+.3f} in score "
        f"[{gain.low:+.3f}, {gain.high:+.3f}], for {money} money ({_short(live)} against {_short(single)}).",
        kind,
    )


def _short(way: Way) -> str:
    return f"{way.score.value:.3f} at ${way.cost.value:.3g} per 1,000"


def _way(way: Way, is_best: bool) -> list[Cell | str]:
    places = 2 if way.cost.value >= 1 else 4
    own: list[Cell | str] = [page.plain(way.score, 3), page.plain(way.cost, places, "$")]
    if is_best:
        return [Cell(way.name, "best single"), *own, "-", "-"]
    return [way.name, *own, page.signed(way.score_over, 3), page.signed(way.cost_over, places, better=-1)]


def experts(standing: Standing | None) -> str:
    """Who is good at what, and who was sent there."""
    if standing is None:
        return ""
    parts = ["<h3>Mean score</h3>", _heat(standing.scores), "<h3>Win rate</h3>", _heat(standing.wins)]
    if standing.shares:
        parts += ["<h3>Share of the prompts under the policy in use</h3>", _heat(standing.shares)]
    note = (
        "By domain, on the test prompts. In percent, beside each its 95 % interval "
        "for as many trials as there are groups of like prompts."
    )
    return page.section("Who is good at what", note, *parts)


def _heat(cells: Mapping[str, Mapping[str, Interval]]) -> str:
    names = list(next(iter(cells.values()), {}))
    rows = (
        [Cell(domain, f"{next(iter(row.values())).n} groups"), *(page.percent(row[name]) for name in names)]
        for domain, row in cells.items()
    )
    return page.heat(["domain", *names], rows)


def traffic(found: Traffic) -> str:
    """Spend, latency, failures."""
    if not found.requests:
        text = "The ledger holds no request yet. Ask something, then make the report again."
        return page.section("Traffic", "", page.empty(text))
    spend = plots.spend(found) if found.spent else ""
    note = f"From {moment(found.since)} to {moment(found.until)} (UTC)."
    parts = ["<h3>Spend</h3>", page.plot(spend, "dollars over time by expert"), "<h3>Seconds to an answer</h3>"]
    parts.append(page.plot(plots.latency(found), "seconds to an answer by expert") if _timed(found) else "")
    heads = ("expert", "calls", "share of answers", "spend", "$ per 1,000 calls", "p50", "p95", "failed", "why")
    parts += ["<h3>Experts</h3>", page.table(heads, _calls(found))]
    parts += ["<h3>Decisions</h3>", page.table(("policy", "requests", "refused"), _decisions(found))]
    return page.section("Traffic", note, *parts)


def _timed(found: Traffic) -> bool:
    return any(calls.total for calls in found.experts.values())


def _calls(found: Traffic) -> Iterator[list[Cell | str]]:
    from numpy import quantile

    answered = found.answered_by.total()
    for name, calls in sorted(found.experts.items(), key=lambda item: -item[1].spend):
        middle, high = quantile(calls.total, (0.5, 0.95)) if calls.total else (None, None)
        share = page.percent(wilson(found.answered_by[name], answered))
        priced = calls.asked - calls.unpriced
        yield [
            name,
            f"{calls.asked:,}",
            Cell(share.text, share.small),
            Cell(usd(calls.spend), f"{calls.unpriced} unknown" if calls.unpriced else ""),
            usd(calls.spend * 1000 / priced) if priced else "-",
            seconds(middle),
            seconds(high),
            _failed(calls.failures.total(), calls.asked),
            ", ".join(f"{reason} {count}" for reason, count in calls.failures.most_common()) or "-",
        ]


def _failed(failures: int, asked: int) -> Cell:
    share = wilson(failures, asked)
    return Cell(f"{100 * share.value:.1f} %", f"{100 * share.low:.1f}-{100 * share.high:.1f}")


def _decisions(found: Traffic) -> Iterator[list[Cell | str]]:
    reasons = ", ".join(f"{reason} {count}" for reason, count in found.refusals.most_common())
    for name, count in found.policies.most_common():
        yield [name or "the default", f"{count:,}", ""]
    yield ["all", f"{found.requests:,}", Cell(f"{found.refused:,}", reasons)]


def headline(found: Traffic) -> list[tuple[str, str]]:
    """The figures on top: what a request costs, and what it would have cost elsewhere."""
    if not found.requests:
        return []
    times = [second for calls in found.experts.values() for second in calls.total]
    values = [(usd(found.spend), "spent"), (f"{found.requests:,}", "requests")]
    values.append((usd(found.spend / found.requests * 1000), "per 1,000 requests"))
    values += _saved(found)
    if times:
        from numpy import quantile

        values.append((seconds(float(quantile(times, 0.5))), "median answer"))
    values.append((f"{100 * (1 - found.refused / found.requests):.2f} %", "of requests were answered"))
    return values


def _saved(found: Traffic) -> list[tuple[str, str]]:
    """Against sending everything to the dearest expert, by the estimates of the time."""
    everywhere = {name: cost for name, cost in found.alone.items() if found.estimated[name] == found.requests}
    if len(everywhere) < 2 or not max(everywhere.values()):
        return []
    dearest = max(everywhere, key=lambda name: everywhere[name])
    return [(f"{100 * (1 - found.spend / everywhere[dearest]):.0f} %", f"less than {dearest} alone (estimated)")]


def usd(amount: float) -> str:
    """Nano-dollars for people: cents where they matter, three digits below."""
    value = amount / NANO
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.3g}" if value >= 1e-4 else f"${value:.2e}"


def seconds(value: float | None) -> str:
    """Seconds for people."""
    if value is None:
        return "-"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def moment(time: float | None) -> str:
    """A Unix second for people, in UTC."""
    return "-" if time is None else datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%d %B %Y %H:%M")
