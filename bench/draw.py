"""Draws cost against quality and the other plots of a report, as SVG text or a PNG file, without a display."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

INK, FAINT, GRID = "#1c2733", "#7b8794", "#e4e8ec"
COLOURS = ("#0b6e99", "#c8553d", "#4f772d", "#8a4f9e", "#b8860b", "#3d5a80", "#a23b72", "#2a9d8f", "#6c584c", "#5f6caf")
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.hashsalt": "lyceum",
    "svg.fonttype": "none",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A frontier: dollars per thousand requests, score, and its band (low, high) if there is one."""

    name: str
    cost: Array
    score: Array
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, slots=True)
class Dot:
    """One way of answering: dollars per thousand requests and score."""

    name: str
    cost: float
    score: float


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn of cost against quality. `zero` and `oracle` are lines of reference; `live` stands out."""

    routers: Sequence[Line]
    experts: Sequence[Dot]
    zero: Line
    oracle: Line | None = None
    live: Dot | None = None


@contextmanager
def figure(width: float, height: float, rows: int = 1, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure in our style with its axes; made without pyplot, so nothing global is left behind."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(cast(Any, STYLE)):
        drawing = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawing)
        yield drawing, drawing.subplots(rows, columns)


def svg(drawing: Any) -> str:
    """The figure as an SVG element to be put into a page: text stays text, no XML head, no date."""
    out = io.StringIO()
    drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def save(drawing: Any, path: Path) -> None:
    """Writes a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=160)


def cost_against_quality(axes: Any, scene: Scene) -> None:
    """The frontier with its band, every single expert, zero router, oracle, and where the live policy stands."""
    if scene.oracle is not None:
        axes.plot(scene.oracle.cost, scene.oracle.score, color=FAINT, linewidth=1.1, linestyle=(0, (1, 2)))
        _end(axes, scene.oracle, FAINT)
    axes.plot(scene.zero.cost, scene.zero.score, color=FAINT, linewidth=1.6, linestyle="--", label=scene.zero.name)
    for line, colour in zip(scene.routers, _colours(), strict=False):
        if line.low is not None and line.high is not None:
            axes.fill_between(line.cost, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(line.cost, line.score, color=colour, linewidth=2.0, label=line.name)
    for dot in scene.experts:
        axes.plot(dot.cost, dot.score, "o", color="white", markeredgecolor=INK, markersize=6, zorder=4)
    if scene.live is not None:
        axes.plot(
            scene.live.cost, scene.live.score, "*", color=COLOURS[1], markersize=15, zorder=6, label=scene.live.name
        )
    _scale(axes, scene)
    axes.set_ylabel("mean score")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, fontsize=8.5)
    axes.figure.draw_without_rendering()  # so that the layout is known where names are placed
    _names(axes, scene.experts)


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS


def _end(axes: Any, line: Line, colour: str) -> None:
    axes.annotate(
        line.name,
        (float(line.cost[-1]), float(line.score[-1])),
        textcoords="offset points",
        xytext=(4, 4),
        color=colour,
        fontsize=8.5,
    )


LETTER, LINE_HEIGHT = 4.6, 10.0
"""Points that a letter of a name is wide, and a line high."""

Box = tuple[float, float, float, float]


def _names(axes: Any, dots: Sequence[Dot]) -> None:
    """The names of the experts, the best first; a name that would lie on another is left out."""
    placed: list[Box] = []
    for dot in sorted(dots, key=lambda dot: -dot.score):
        name = dot.name.split("/")[-1]
        x, y = axes.transData.transform((dot.cost, dot.score)) * 72.0 / axes.figure.dpi
        width = LETTER * len(name)
        right = x + 7 + width < axes.figure.get_figwidth() * 72.0
        left = x + 7 if right else x - 7 - width
        box = (left, y - 12, left + width, y - 12 + LINE_HEIGHT)
        if not any(_overlap(box, other) for other in placed):
            placed.append(box)
            _name(axes, name, dot, right)


def _name(axes: Any, name: str, dot: Dot, right: bool) -> None:
    side = {"xytext": (7, -10), "ha": "left"} if right else {"xytext": (-7, -10), "ha": "right"}
    at = (dot.cost, dot.score)
    text = axes.annotate(name, at, textcoords="offset points", fontsize=8, color=INK, clip_on=False, **side)
    text.set_in_layout(False)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _scale(axes: Any, scene: Scene) -> None:
    """Logarithmic dollars where they span more than a factor of five."""
    costs = [dot.cost for dot in scene.experts if dot.cost > 0]
    if costs and max(costs) > 5 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"${value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"${value:.3g}")
    axes.set_xlabel("dollars per 1,000 requests")
    axes.margins(x=0.1, y=0.08)
