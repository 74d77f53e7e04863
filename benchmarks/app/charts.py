"""Three pictures: the gains of all techniques, the cache's hit ratio over replicas, requests/s over workers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.app.results import Comparison, Curve, Results
from benchmarks.app.tables import factor

# Okabe and Ito's colours, which people with any colour vision tell apart, each with a marker of its own.
_STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#E69F00", "D"))
_INK, _GREY = "#202124", "#5F6368"
_CURVES = {
    "hits": ("replicas", "requests answered by the cache (%)", "A cache per worker or one for all", 100.0),
    "workers": ("worker processes", "requests/s of a pod that computes", "Workers under a CPU limit", None),
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the pictures of what was measured; returns their files."""
    written = [_save(_gains(results.comparisons), folder / "bench-app-gains.png")] if results.comparisons else []
    for chart in _CURVES:
        curves = [curve for curve in results.curves if curve.chart == chart]
        if curves:
            written.append(_save(_lines(chart, curves), folder / f"bench-app-{chart}.png"))
    return written


def _gains(comparisons: Sequence[Comparison]) -> Figure:
    shown = [each for each in comparisons if each.topic not in _CURVES and each.gain < float("inf")][::-1]
    figure, axes = _figure((9.5, 0.36 * len(shown) + 1.2), "How many times better with the technique")
    gains = [max(each.gain, 1e-3) for each in shown]
    axes.barh(range(len(shown)), gains, color=_STYLES[0][0], height=0.62)
    axes.set_yticks(range(len(shown)), [f"{each.what}: {each.unit}" for each in shown])
    axes.set_xscale("log")
    axes.set_xlim(min([0.9, *gains]), max([10.0, *gains]) * 3)
    for place, each in enumerate(shown):
        label = f" {factor(each.gain)}  {each.labels[0]} → {each.labels[1]}"
        axes.annotate(label, (max(each.gain, 1), place), va="center", fontsize=8.5, color=_INK)
    axes.axvline(1, color=_GREY, linewidth=0.8)
    axes.grid(axis="x", color="#DADCE0", linewidth=0.7)
    axes.set_xlabel("gain (log scale)", color=_INK)
    return figure


def _lines(chart: str, curves: Sequence[Curve]) -> Figure:
    across, up, title, top = _CURVES[chart]
    figure, axes = _figure((6.4, 3.8), title)
    for (colour, marker), curve in zip(_STYLES, curves, strict=False):
        xs, ys = zip(*curve.points, strict=True)
        axes.plot(xs, ys, color=colour, marker=marker, linewidth=1.8, label=curve.label)
        axes.set_xticks(xs)
    axes.set_ylim(0, top)
    axes.grid(axis="y", color="#DADCE0", linewidth=0.7)
    axes.set_xlabel(across, color=_INK)
    axes.set_ylabel(up, color=_INK)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _figure(size: tuple[float, float], title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=12, color=_INK)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_GREY, labelsize=9)
    return figure, axes


def _save(figure: Figure, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    return file
