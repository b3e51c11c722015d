"""The plots of a report's traffic: spend over time, and how long each expert takes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from bench.draw import COLOURS, FAINT, INK, figure, svg
from bench.traffic import DAY, Traffic, spend_over_time
from experts.card import NANO

OTHERS = "others"


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each expert, the same in every plot; the ones beyond the palette share the last."""
    return {name: COLOURS[min(i, len(COLOURS) - 1)] for i, name in enumerate(names)}


def spend(traffic: Traffic) -> str:
    """Stacked bars of dollars per span of time and expert, with the running sum."""
    starts, series = spend_over_time(traffic)
    names = sorted(series, key=lambda name: -sum(series[name]))
    with figure(9.6, 3.1) as (drawing, axes):
        base, width = [0.0] * len(starts), (starts[1] - starts[0] if len(starts) > 1 else 1.0)
        for name in names:
            heights = [cost / NANO for cost in series[name]]
            axes.bar(starts, heights, width * 0.86, base, color=colours(names)[name], label=name, align="edge")
            base = [low + height for low, height in zip(base, heights, strict=True)]
        axes.set_ylabel("dollars")
        axes.yaxis.set_major_formatter(lambda value, _: _money(value))
        axes.xaxis.set_major_formatter(lambda value, _: _clock(value, starts))
        axes.grid(axis="x", visible=False)
        axes.set_xlim(starts[0] - width * 0.4, starts[-1] + width * 1.4)
        axes.legend(loc="upper left", ncols=min(5, len(names)), fontsize=8.5)
        axes.margins(y=0.25)
        return svg(drawing)


def latency(traffic: Traffic) -> str:
    """For each expert, seconds to the end of its answers: all of 5 % to 95 %, the middle half, the median; and the
    median to the first chunk."""
    from numpy import quantile

    names = sorted((n for n, calls in traffic.experts.items() if calls.total), key=lambda n: n, reverse=True)
    with figure(9.6, 0.8 + 0.42 * max(1, len(names))) as (drawing, axes):
        for row, name in enumerate(names):
            calls = traffic.experts[name]
            low, quarter, middle, three, high = quantile(calls.total, (0.05, 0.25, 0.5, 0.75, 0.95))
            axes.plot([low, high], [row, row], color=FAINT, linewidth=1.4, zorder=2)
            axes.plot([quarter, three], [row, row], color=COLOURS[0], linewidth=8, alpha=0.45, zorder=3)
            axes.plot(middle, row, "o", color=COLOURS[0], markersize=7, zorder=4, label="to the end" * (row == 0))
            if calls.first:
                first = quantile(calls.first, 0.5)
                axes.plot(first, row, "|", color=COLOURS[1], markersize=13, markeredgewidth=2, zorder=5)
        axes.plot([], [], "|", color=COLOURS[1], markersize=11, markeredgewidth=2, label="to the first chunk")
        axes.set_yticks(range(len(names)), names, color=INK)
        _seconds(axes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8.5)
        axes.set_ylim(-0.6, len(names) + 0.35)
        return svg(drawing)


def _seconds(axes: Any) -> None:
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.grid(axis="y", visible=False)


def _money(value: float) -> str:
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.2g}"


def _clock(value: float, starts: Sequence[float]) -> str:
    moment = datetime.datetime.fromtimestamp(value, datetime.UTC)
    return moment.strftime("%d %b" if starts[-1] - starts[0] > 3 * DAY else "%d %b %H:%M")
