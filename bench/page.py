"""Writes the report as one HTML page that needs nothing else: no script, no request, plots as SVG inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from bench.statistics import Interval

STYLE = Path(__file__).with_name("page.css")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: text, what is smaller beside it, a class for its colour, a background share in [0, 1]."""

    text: str
    small: str = ""
    kind: str = ""
    heat: float | None = None


def page(title: str, subtitle: str, body: Iterable[str], foot: str, wide: bool = False) -> str:
    """A whole page; `body` is HTML already; `wide` makes room for tables with many columns."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE.read_text()}</style></head>"
        f'<body><main class="{"broad" if wide else ""}">'
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>"
        f"{''.join(body)}<footer>{escape(foot)}</footer></main></body></html>\n"
    )


def section(title: str, note: str, *parts: str) -> str:
    """A framed part of the page."""
    about = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{about}{''.join(parts)}</section>"


def cards(values: Sequence[tuple[str, str]]) -> str:
    """Large figures with what they are."""
    each = (f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in values)
    return f'<div class="cards">{"".join(each)}</div>'


def verdict(text: str, kind: str = "") -> str:
    """The one sentence to take away; `kind` is `good`, `bad` or nothing."""
    return f'<p class="verdict {kind}">{escape(text)}</p>'


def empty(text: str) -> str:
    """What stands where there is nothing to show yet."""
    return f'<p class="empty">{escape(text)}</p>'


def plot(svg: str, about: str) -> str:
    """An SVG element with its description for those who cannot see it."""
    return f'<div class="wide" role="img" aria-label="{escape(about, quote=True)}">{svg}</div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell | str]], live: frozenset[int] = frozenset()) -> str:
    """A table; the rows whose number is in `live` stand out."""
    return _table("", heads, rows, live)


def dense(heads: Sequence[str], rows: Iterable[Sequence[Cell | str]], live: frozenset[int] = frozenset()) -> str:
    """A table of many columns: intervals stand below their figures."""
    return _table("dense", heads, rows, live)


def heat(heads: Sequence[str], rows: Iterable[Sequence[Cell | str]]) -> str:
    """A table whose cells are coloured by their share."""
    return _table("heat", heads, rows, frozenset())


def _table(kind: str, heads: Sequence[str], rows: Iterable[Sequence[Cell | str]], live: frozenset[int]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = (
        f"<tr{' class=live' if number in live else ''}>{''.join(map(_cell, row))}</tr>"
        for number, row in enumerate(rows)
    )
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="wide"><table class="{kind}">{body}</table></div>'


def _cell(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    style = "" if cell.heat is None else f' style="background:rgba(11,110,153,{0.04 + 0.5 * cell.heat:.3f})"'
    small = f" <small>{escape(cell.small)}</small>" if cell.small else ""
    return f'<td class="{cell.kind}"{style}>{escape(cell.text)}{small}</td>'


def definitions(words: Mapping[str, str]) -> str:
    """Words and what they mean."""
    return f"<dl>{''.join(f'<dt>{escape(word)}</dt><dd>{escape(about)}</dd>' for word, about in words.items())}</dl>"


def percent(interval: Interval) -> Cell:
    """A share with its interval, coloured by its size."""
    if interval.n == 0:
        return Cell("-")
    small = f"{100 * interval.low:.0f}-{100 * interval.high:.0f}"
    return Cell(f"{100 * interval.value:.0f} %", small, heat=interval.value)


def signed(interval: Interval, places: int, better: int = 1) -> Cell:
    """A difference with its interval; coloured where the interval says so. `better` is -1 if less is better."""
    kind = "" if not (interval.gain or interval.loss) else ("up" if interval.gain == (better > 0) else "down")
    low, high = f"{interval.low:+.{places}f}", f"{interval.high:+.{places}f}"
    return Cell(f"{interval.value:+.{places}f}", f"[{low}, {high}]", kind)


def plain(interval: Interval, places: int, unit: str = "") -> Cell:
    """A figure with its interval."""
    low, high = f"{interval.low:.{places}f}", f"{interval.high:.{places}f}"
    return Cell(f"{unit}{interval.value:.{places}f}", f"[{low}, {high}]")
