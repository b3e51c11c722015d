"""The figures as tables: for a terminal, and as Markdown for README and the docs, from the same columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experts.base import SetupError

Figures = Mapping[str, Any]
Rows = list[list[str]]
NOTHING = "-"
BEGIN, END = "<!-- speed: `lyceum bench speed --write` puts the table here -->", "<!-- /speed -->"


def number(value: float | None, places: int = 0) -> str:
    """A figure for people."""
    return NOTHING if value is None else f"{value:,.{places}f}"


def pair(low: float | None, high: float | None, places: int = 0) -> str:
    """Two figures that belong together."""
    return f"{number(low, places)} / {number(high, places)}"


def requests_table(report: Figures) -> tuple[list[str], Rows]:
    """CPU a request and requests a second, by requests at once."""
    levels = [str(level) for level in report["plan"]["levels"]]
    titles = [
        "",
        "start s",
        "MB idle / after",
        *(f"CPU µs, {c} at once" for c in levels),
        *(f"/s, {c}" for c in levels),
    ]
    direct = report["direct"]["levels"]
    rows = [
        ["straight to the upstream", NOTHING, NOTHING, *[NOTHING] * len(levels), *(_rate(direct, c) for c in levels)]
    ]
    for name, each in report["targets"].items():
        memory = pair(each["rss_idle_mb"], each["rss_after_mb"])
        cpu = [number(each["levels"][c]["cpu_us"]) for c in levels]
        rows.append([name, number(each["start_seconds"], 1), memory, *cpu, *(_rate(each["levels"], c) for c in levels)])
    workers = report.get("workers", {})
    if "levels" in workers:
        cpu = [number(workers["levels"][c]["cpu_us"]) if c in workers["levels"] else NOTHING for c in levels]
        rates = [_rate(workers["levels"], c) if c in workers["levels"] else NOTHING for c in levels]
        memory = pair(workers["rss_idle_mb"], workers["rss_after_mb"])
        rows.append([f"lyceum, {workers['count']} workers", NOTHING, memory, *cpu, *rates])
    return titles, rows + held_rows(report.get("held", {}), levels)


def held_rows(held: Figures, levels: Sequence[str]) -> Rows:
    """One worker and two, each held to the same share of a core."""
    rows = []
    for name, words in (("one", "1 worker held to {} of a core"), ("two", "2 workers held to {} of a core each")):
        if name in held:
            cpu = [number(held[name]["cpu_us"]) if c == held["level"] else NOTHING for c in levels]
            rates = [number(held[name]["requests_per_second"]) if c == held["level"] else NOTHING for c in levels]
            share = f"{held['share']:.0%}"
            rows.append([f"lyceum, {words.format(share)}", NOTHING, NOTHING, *cpu, *rates])
    return rows


def _rate(levels: Figures, level: str) -> str:
    return number(levels[level]["requests_per_second"])


LATENCY: Sequence[tuple[str, Callable[[Figures], str]]] = (
    ("added µs p50 / p99, 1 at once", lambda each: pair(each["added_us"]["p50"], each["added_us"]["p99"])),
    ("100 a second", lambda each: pair(each["open_added_us"]["p50"], each["open_added_us"]["p99"])),
    ("first chunk added µs p50 / p99, streams one by one", lambda each: _first(each, "one_by_one")),
    ("first chunk added µs, all at once", lambda each: _first(each, "burst")),
    ("first chunk added µs, all at once on new connections", lambda each: _first(each, "burst_new")),
    ("chunk delay µs p50 / p99 (direct)", lambda each: _delay(each["streams"]["100"])),
    ("CPU µs a chunk, 100/s", lambda each: number(each["streams"]["100"]["cpu_us"])),
    ("500/s", lambda each: number(each["streams"]["500"]["cpu_us"])),
    ("CPU µs a stream of 5 chunks", lambda each: number(each["short_stream_cpu_us"])),
    ("delivered /s at 500/s", lambda each: number(each["streams"]["500"]["chunks_per_second"])),
    ("97 kB prompt CPU µs", lambda each: number(each["long"]["cpu_us"])),
    ("errors", lambda each: ", ".join(f"{count} {name}" for name, count in each["errors"].items()) or "0"),
)


def _first(each: Figures, how: str) -> str:
    return pair(each["first_added_us"][how]["p50"], each["first_added_us"][how]["p99"])


def _delay(each: Figures) -> str:
    direct = pair(each["direct_p50_us"], each["direct_p99_us"])
    return f"{pair(each['delay_p50_us'], each['delay_p99_us'])} ({direct})"


def latency_table(report: Figures) -> tuple[list[str], Rows]:
    """What the way through adds, and streams."""
    titles = ["", *(title for title, _ in LATENCY)]
    return titles, [[name, *(show(each) for _, show in LATENCY)] for name, each in report["targets"].items()]


def notes(report: Figures) -> list[str]:
    """What has no row: decisions, and peers that are missing, each with the reason."""
    lines = []
    for name, value in report.get("decisions", {}).items():
        lines.append(f"{name}: {value if isinstance(value, str) else number(value, 1) + ' µs'}")
    for name, value in report.get("embedding", {}).items():
        lines.append(f"{name}: {value if isinstance(value, str) else number(value, 1)}")
    if "missing" in report.get("workers", {}):
        lines.append(f"two workers: {report['workers']['missing']}")
    lines += held_notes(report.get("held", {}))
    lines += [f"{name} is missing: {reason}" for name, reason in report.get("missing", {}).items()]
    return lines


def held_notes(held: Figures) -> list[str]:
    """How many times the requests of one held worker two answer, or why nobody knows."""
    if "missing" in held:
        return [f"workers held to a share of a core: {held['missing']}"]
    if not held:
        return []
    what = f"two workers, each held to {held['share']:.0%} of a core, beside one held so, {held['level']} at once"
    used = " and ".join(f"{share:.0%}" for share in reversed(held["used"]))
    counted = f"median of the {held['counted']} of {held['turns']} turns in which the one had its share"
    return [f"{what}: {held['times']:.2f} times the requests a second, {counted}; of their shares they used {used}"]


def caption(report: Figures) -> str:
    """Where, when and what."""
    machine, streams = report["machine"], report["plan"]["streams"]
    return (
        f"{report['date']}, commit {report['commit']}, {machine['cpu']}, {machine['cores']} cores, Python "
        f"{machine['python']} {machine['python_build']}; medians of {report['plan']['rounds']} rounds of "
        f"{report['plan']['seconds']} s, "
        f"{streams} streams; load of the machine before it began {machine['load']:.1f}"
    )


def show(report: Figures, console: Console) -> None:
    """Tables for a terminal."""
    for titles, rows in (requests_table(report), latency_table(report)):
        table = Table(*titles[:1])
        for title in titles[1:]:
            table.add_column(title, justify="right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in [*notes(report), caption(report)]:
        console.print(line, markup=False, highlight=False)


def markdown(report: Figures) -> str:
    """The same for a document."""
    parts = [caption(report) + ":"]
    for titles, rows in (requests_table(report), latency_table(report)):
        lines = [titles, ["---"] * len(titles), *rows]
        parts.append("\n".join("| " + " | ".join(cells) + " |" for cells in lines))
    if lines_below := notes(report):
        parts.append("\n".join(f"- {line}" for line in lines_below))
    return "\n\n".join(parts)


def write(report: Figures, path: Path) -> None:
    """Puts the tables between the marks of a document. Raises SetupError if it has none."""
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise SetupError(f"{path}: no place for the table: put a line {BEGIN} and a line {END}")
    inside = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    path.write_text(inside.sub(lambda _: f"{BEGIN}\n\n{markdown(report)}\n\n{END}", text))
