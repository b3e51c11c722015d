"""`lyceum bench routers`: every router on every data set, beside best single expert, zero router and oracle."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import math
import multiprocessing
import os
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import contest, data, draw, page, standing, summary
from bench.compare import FIGURES
from bench.contest import Contest, Entry
from bench.heads import heads
from bench.page import Cell
from bench.statistics import Interval
from bench.vectors import vectors
from experts.base import SetupError
from experts.build import build
from routers.base import Encoder

HELP = "every router on every data set, beside best single expert, zero router and oracle, with intervals"
EXAMPLE = "lyceum bench routers --data mmlu_pro --data zeroeval"

SHOWN = ("best", "over_single", "same_cost", "over_zero", "aiq", "qnc")
"""The figures of the table in the terminal; the page and the JSON have all."""

ENCODER = '{ use = "routers.encoders:MiniLM", precision = "int8" }'
"""Half the time of fp32, and the same figures within their intervals."""

WIDTH = 160
"""Columns that the table needs; a narrower terminal wraps or scrolls."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data, which routers, where to."""
    parser.add_argument("--data", action="append", metavar="NAME", help="a data set; may be repeated; default: all")
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--router", action="append", metavar="NAME", help="a router; may be repeated; default: all")
    parser.add_argument("--encoder", default=ENCODER, help="import string, or a table as in lyceum.toml")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors, PNG and HTML")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="data sets at once; default: the cores")
    parser.add_argument("--repetitions", type=int, default=400, help="bootstrap resamples (default 400)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Runs all contests, shows them, writes the page."""
    place = data.folder(args.folder)
    chosen = args.data or data.names(place)
    if not chosen:
        raise SetupError(f"there is no data set here: give --folder, or set {data.VARIABLE}")
    for name in args.data or ():
        data.load(name, place)
    began = time.monotonic()
    done = contests(args, chosen, _heads(args.router))
    path = write(done, args.state)
    if args.json:
        sys.stdout.write(path.with_suffix(".json").read_text())
        return 0
    console = Console(width=max(Console().width, WIDTH))
    for each in done:
        console.print(table(each))
    console.print(summary.table(done))
    took = time.monotonic() - began
    console.print(f"All figures, and the frontiers with their bands: {path}; {took:.0f} s", highlight=False)
    return 0


def _heads(wanted: Sequence[str] | None) -> dict[str, str]:
    known = heads()
    for name in wanted or ():
        if name not in known:
            raise SetupError(f"--router {name}: there is no such router; known: {', '.join(known)}")
    return {name: use for name, use in known.items() if not wanted or name in wanted}


def contests(args: argparse.Namespace, sets: Sequence[str], routers: Mapping[str, str]) -> list[Contest]:
    """A contest for each data set, all vectors first; several at once, with a progress bar on stderr."""
    place = data.folder(args.folder)
    largest_first = sorted(set(sets), key=lambda name: -data.size(name, place))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress, workers(args.jobs) as pool:
        told = progress.add_task("starting", total=3 * len(largest_first))
        for name, _ in finished(
            pool, {(name, part): (embedded, args, name, part) for name in largest_first for part in PARTS}
        ):
            progress.update(told, advance=1, description=f"vectors of {name[0]}")
        done = {}
        for name, found in finished(pool, {name: (held, args, name, routers) for name in largest_first}):
            done[name] = found
            progress.update(told, advance=1, description=f"routers on {name}")
    return [done[name] for name in sets]


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PARTS = ("train", "test")


@contextlib.contextmanager
def workers(jobs: int) -> Iterator[Executor | None]:
    """So many processes; `None`: the work is done here."""
    if jobs == 1:
        yield None
        return
    os.environ.update({name: "1" for name in THREADS})  # a process a core: more threads only get in the way
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), quiet) as pool:
        yield pool


def quiet() -> None:
    """A process beside others draws no bars: they would lie on that of its parent."""
    os.environ["TERM"] = "dumb"


def finished(pool: Executor | None, tasks: Mapping[Any, tuple[Any, ...]]) -> Iterator[tuple[Any, Any]]:
    """What each function brought with its arguments, as they come to an end."""
    if pool is None:
        yield from ((name, function(*words)) for name, (function, *words) in tasks.items())
        return
    under_way = {pool.submit(*task): name for name, task in tasks.items()}
    for future in as_completed(under_way):
        yield under_way[future], future.result()


def embedded(args: argparse.Namespace, name: str, part: str) -> Any:
    """The vectors of a data set's train or test prompts, made and kept if they are not there yet."""
    prompts = getattr(data.load(name, data.folder(args.folder)), part).prompts
    return len(vectors(prompts, encoder_of(args.encoder), args.state / "vectors"))


def held(args: argparse.Namespace, name: str, routers: Mapping[str, str]) -> Contest:
    """One contest, from loading to the last router."""
    each = data.load(name, data.folder(args.folder))
    encoder = encoder_of(args.encoder)
    folder = args.state / "vectors"
    ready = contest.prepare(each, *(vectors(part.prompts, encoder, folder) for part in (each.train, each.test)))
    rows = contest.baselines(each, ready.against, args.repetitions)
    rows.append(contest.by_chance(each, ready.against, args.repetitions))
    for name_, use in routers.items():
        rows += contest.entries(name_, use, ready, args.repetitions)
    return Contest(each, ready.against, tuple(rows))


def encoder_of(given: str) -> Encoder:
    """From an import string, or from a table as in lyceum.toml. Raises SetupError."""
    try:
        table_ = tomllib.loads(f"encoder = {given}")["encoder"] if given.startswith("{") else {"use": given}
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"--encoder {given}: not a table of TOML: {error}") from error
    made: Encoder = build(table_, "--encoder")
    return made


def ordered(each: Contest) -> list[Entry]:
    """Trivial policies first, then routers by what they add to the zero router, the bound last."""
    rank = {"single": 0, "trivial": 1, "router": 2, "bound": 3}
    return sorted(each.entries, key=lambda row: (rank[row.kind], -row.compared.figures["over_zero"].value))


def table(each: Contest) -> Table:
    """The terminal's version."""
    title = f"{each.data.name}: {len(each.data.test)} test prompts, {len(each.data.test.experts)} experts"
    found = Table(title=title, title_justify="left")
    found.add_column("", no_wrap=True, max_width=24)
    heads_ = [*SHOWN, "ece", *(["apgr", "cpt50"] if _paired(each) else [])]
    for head in heads_:
        found.add_column(head.replace("_", " "), justify="right", no_wrap=True)
    for row in ordered(each):
        known = told(row)
        cells = [short(known[name]) if name in known else "" for name in SHOWN]
        cells += [_number(row.ece), *(short(row.pair[name]) if row.pair else "" for name in heads_[len(SHOWN) + 1 :])]
        found.add_row(row.name, *cells, style="" if row.kind == "router" else "dim")
    return found


def told(row: Entry) -> Mapping[str, Interval]:
    """The figures that make sense for a row: what is one point has no frontier."""
    alone = row.kind == "single"
    return {name: value for name, value in row.compared.figures.items() if not alone or name in SHOWN[:3]}


def _paired(each: Contest) -> bool:
    return any(row.pair for row in each.entries)


def short(interval: Interval) -> str:
    """A figure and half the width of its interval."""
    if not math.isfinite(interval.value):
        return "never"
    half = (interval.high - interval.low) / 2
    return f"{interval.value:.3f} ±{half:.3f}" if math.isfinite(half) else f"{interval.value:.3f}"


def _number(value: float, places: int = 3) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else ""


def write(done: Sequence[Contest], folder: Path) -> Path:
    """One PNG a data set, one page with all of them, and the figures as JSON beside it."""
    import orjson

    now = datetime.datetime.now(datetime.UTC).strftime("%d %B %Y %H:%M UTC")
    parts = [summary.section(done)]
    for each in done:
        with draw.figure(9.6, 5.2) as (drawing, axes):
            draw.cost_against_quality(axes, scene(each))
            draw.save(drawing, folder / f"{each.data.name}.png")
            parts.append(chapter(each, draw.svg(drawing)))
    parts.append(page.section("Figures", "", page.definitions(FIGURES)))
    path = folder / "routers.html"
    note = "Fitted on train, scored once on test; 95 % intervals by paired bootstrap over groups of duplicates."
    path.write_text(page.page("Routers", f"{note} Made {now}.", parts, now, wide=True), encoding="utf-8")
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    path.with_suffix(".json").write_bytes(orjson.dumps([figures(each) for each in done], option=options))
    return path


def scene(each: Contest) -> draw.Scene:
    """The best routers with their bands, over single experts, zero router and oracle."""
    return standing.scene(each.against, [row.compared for row in contest.select(each)])


def chapter(each: Contest, svg: str) -> str:
    """A data set's part of the page."""
    note = (
        f"{len(each.data.train)} prompts to fit, {len(each.data.test)} to score, {len(each.data.test.experts)} experts"
    )
    about = f"{note}. {each.data.about}".rstrip()
    heads_ = [
        "",
        *(name.replace("_", " ") for name in FIGURES),
        "ECE",
        "ECE of the gap",
        "collapse",
        "bits",
        "fit s",
        "µs",
    ]
    pairs = ("apgr", "cpt50", "cpt80") if _paired(each) else ()
    rows = [[*_row(row), *(_cell(row.pair.get(name)) for name in pairs)] for row in ordered(each)]
    marked = frozenset(i for i, row in enumerate(ordered(each)) if row.name == contest.DEFAULT)
    picture = page.plot(svg, f"mean score against dollars per 1,000 requests on {each.data.name}")
    return page.section(each.data.name, about, picture, page.dense([*heads_, *pairs], rows, marked))


def _row(row: Entry) -> list[Cell | str]:
    cells: list[Cell | str] = [row.name]
    for name in FIGURES:
        signed = name in ("over_single", "same_cost", "over_zero", "performance_gain", "cost_saving")
        cells.append(_cell(told(row).get(name), signed))
    cells += [_number(value) for value in (row.ece, row.ece_gap, row.collapse)]
    return [*cells, _number(row.used, 2), _number(row.fit_seconds, 1), _number(row.estimate_micros, 0)]


def _cell(interval: Interval | None, signed: bool = False) -> Cell | str:
    if interval is None or not math.isfinite(interval.value):
        return "" if interval is None else "never"
    return page.signed(interval, 3) if signed else page.plain(interval, 3)


def figures(each: Contest) -> dict[str, Any]:
    """For programs; a figure that is not finite is null."""
    return {
        "data": each.data.name,
        "train": len(each.data.train),
        "test": len(each.data.test),
        "experts": list(each.data.test.experts),
        "best_single": each.data.test.experts[each.against.best],
        "rows": [
            {
                "name": row.name,
                "kind": row.kind,
                **told(row),
                **row.pair,
                "ece": row.ece,
                "ece_gap": row.ece_gap,
                "collapse": row.collapse,
                "bits": row.used,
                "fit_seconds": row.fit_seconds,
                "estimate_us": row.estimate_micros,
            }
            for row in ordered(each)
        ],
    }
