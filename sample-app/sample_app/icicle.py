"""A profile made readable: the functions that cost most, and the call graph as an icicle picture (SVG)."""

import pstats
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any
from xml.sax.saxutils import escape

Function = tuple[str, int, str]

WIDTH = 1200
ROW = 18
# Narrower boxes cannot be seen, and deeper calls are a library's own affairs.
NARROWEST = 1.0
DEEPEST = 48
_LETTER = 6.2  # pixels of a letter at 11 px, about
_COLOURS = {"application": "#e4572e", "library": "#f3a712", "builtin": "#a8c686"}
_PACKAGES = ("site-packages/", "lib/python")


@dataclass(frozen=True, slots=True)
class Row:
    """One function of the table; times in seconds, `own` without the functions it called."""

    name: str
    kind: str
    calls: int
    own: float
    total: float


@dataclass(frozen=True, slots=True)
class Box:
    """One box of the picture: `left` and `width` are shares of the whole, `seconds` what was spent along this path."""

    name: str
    kind: str
    depth: int
    left: float
    width: float
    seconds: float


class Graph:
    """Who called whom, and what it cost."""

    def __init__(self, stats: pstats.Stats) -> None:
        table: Mapping[Function, Any] = stats.stats  # type: ignore[attr-defined]  # in pstats' documented file format
        self.own = {function: values[2] for function, values in table.items()}
        self.total = {function: values[3] for function, values in table.items()}
        self.calls = {function: values[1] for function, values in table.items()}
        self.called: dict[Function, dict[Function, float]] = defaultdict(dict)
        for function, values in table.items():
            for caller, edge in values[4].items():
                self.called[caller][function] = edge[3]
        callers = {function: values[4] for function, values in table.items()}
        self.roots = [function for function in table if not set(callers[function]) - {function}]

    @cached_property
    def seconds(self) -> float:
        """What the whole profile took."""
        return sum(float(self.total[root]) for root in self.roots)


def rows(graph: Graph, limit: int = 40, *, by_total: bool = False) -> list[Row]:
    """The functions with the most time of their own (or in all), most first."""
    times = graph.total if by_total else graph.own
    chosen = sorted(times, key=lambda function: times[function], reverse=True)[:limit]
    return [Row(label(one), kind(one), graph.calls[one], graph.own[one], graph.total[one]) for one in chosen]


def boxes(graph: Graph) -> Iterator[Box]:
    """The boxes of the picture, parents first.

    A profile knows what a function cost per caller, not per path: below a function that has several callers, its
    callees are shared out in proportion to what each caller spent in it (gprof's assumption).
    """
    left = 0.0
    for root in sorted(graph.roots, key=lambda one: graph.total[one], reverse=True):
        yield from _below(graph, root, graph.total[root], left, ())
        left += graph.total[root]


def _below(graph: Graph, function: Function, seconds: float, left: float, path: tuple[Function, ...]) -> Iterator[Box]:
    whole = graph.seconds or 1.0
    if seconds / whole * WIDTH < NARROWEST or len(path) >= DEEPEST:
        return
    yield Box(label(function), kind(function), len(path), left / whole, seconds / whole, seconds)
    share = min(seconds / graph.total[function], 1.0) if graph.total[function] else 0.0
    for callee, spent in sorted(graph.called[function].items(), key=lambda item: item[1], reverse=True):
        if callee != function and callee not in path:  # recursion: its time is in the box that is there already
            yield from _below(graph, callee, spent * share, left, (*path, function))
            left += spent * share


def svg(graph: Graph, title: str) -> str:
    """The picture; every box tells its function and time when pointed at."""
    shown = list(boxes(graph))
    height = (max((box.depth for box in shown), default=0) + 1) * ROW + 22
    heading = f'<text x="2" y="14" font-weight="bold">{escape(title)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="100%" role="img" '
        f'font-family="ui-monospace, monospace" font-size="11"><title>{escape(title)}</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>{heading}{"".join(map(_drawn, shown))}</svg>'
    )


def _drawn(box: Box) -> str:
    x, y, width = box.left * WIDTH, box.depth * ROW + 22, box.width * WIDTH
    told = escape(f"{box.name}: {box.seconds * 1000:.2f} ms, {box.width:.1%}")
    letters = int((width - 6) / _LETTER)
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(box.name[:letters])}</text>' if letters > 2 else ""
    return (
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" '
        f'fill="{_COLOURS[box.kind]}"/>{text}</g>'
    )


def label(function: Function) -> str:
    """A function as people look for it: package, module, name."""
    file, line, name = function
    if file == "~":
        return name
    return f"{name} ({_short(file)}:{line})"


def kind(function: Function) -> str:
    """Whose code it is: "application", "library" or "builtin"."""
    file = function[0]
    if file == "~" or file.startswith("<"):
        return "builtin"
    return "library" if any(package in file for package in _PACKAGES) else "application"


def _short(file: str) -> str:
    for package in _PACKAGES:
        if package in file:
            return file.rpartition(package)[2]
    return "/".join(PurePath(file).parts[-2:])
