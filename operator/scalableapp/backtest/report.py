"""The back-test as a self-contained HTML page and as a picture."""

import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scalableapp.backtest.deciders import in_words
from scalableapp.backtest.score import bad_minutes
from scalableapp.backtest.service import Floats, Service
from scalableapp.backtest.session import OURS, Case, Result
from scalableapp.backtest.simulator import Run

# Okabe and Ito's colours, which people with any colour vision tell apart.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5F6368")
_INK = "#202124"
_POINTS = 1500
_TAIL = 0.05


def write(case: Case, results: dict[str, Result], page: Path | None, picture: Path | None) -> None:
    """Write the files that are asked for. Raises OSError when one cannot be written."""
    if picture:
        picture.write_bytes(draw(case, results, "png"))
    if page:
        drawing = draw(case, results, "svg").decode()
        page.write_text(_page(case, results, drawing[drawing.index("<svg") :]), encoding="utf-8")


def draw(case: Case, results: dict[str, Result], kind: str) -> bytes:
    """Load and capacity, latency, replicas over one time axis; `kind` is "png" or "svg"."""
    figure = Figure(figsize=(11, 9.5), layout="constrained", facecolor="white")
    figure.suptitle(_headline(case, results), x=0.01, ha="left", fontsize=13, color=_INK)
    load, latency, replicas = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 3))
    service, ours = case.assumed.world.service, results[OURS].run
    hours, rates = _thinned(ours.arrivals, np.mean)
    load.fill_between(hours, rates, color=_COLOURS[1], alpha=0.2, linewidth=0)
    load.plot(hours, rates, color=_COLOURS[1], linewidth=1, label="load")
    hours, ready = _thinned(ours.ready.astype(np.float64), np.min)
    load.plot(hours, ready * service.capacity, color=_COLOURS[0], linewidth=1, label=f"capacity with {OURS}")
    load.set_ylabel("requests per second", color=_INK)
    for (name, result), colour in zip(results.items(), _COLOURS, strict=False):
        style = {"color": colour, "linewidth": 1.6 if name == OURS else 0.9, "zorder": 3 if name == OURS else 2}
        latency.plot(*_thinned(p95_seconds(result.run, service), np.max), label=name, **style)
        replicas.plot(*_thinned(result.run.replicas.astype(np.float64), np.max), label=name, **style)
    latency.set_yscale("log")
    for axis_part in (latency.yaxis.set_major_formatter, latency.yaxis.set_minor_formatter):
        axis_part(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    latency.set_ylabel("p95 latency (s), modelled", color=_INK)
    replicas.set_ylabel("replicas", color=_INK)
    replicas.yaxis.set_major_locator(MaxNLocator(integer=True))
    replicas.set_xlabel("hours since the start of the load curve", color=_INK)
    for axes in (load, latency, replicas):
        _finish(axes)
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=150)
    return content.getvalue()


def p95_seconds(run: Run, service: Service) -> Floats:
    """95th percentile of latency in each second: service time, what the queue adds, and the steady state's wait.

    From P(W > w) = C * exp(-(1 - rho) * mu * w): w95 = ln(C / 0.05) / ((1 - rho) * mu).
    """
    capacity = np.maximum(run.ready, 1) * service.rate
    utilisation = np.minimum(run.arrivals / capacity, 0.99)
    index = (utilisation * 99).astype(np.int64)
    grid = np.asarray([service.waiting_share(step / 99) for step in range(100)])
    wait = np.log(np.maximum(grid[index] / _TAIL, 1.0)) / ((1 - utilisation) * service.rate)
    latency: Floats = service.service_seconds + np.minimum(wait + run.backlog / capacity, service.patience_seconds)
    return latency


def _thinned(values: Floats, how: Any) -> tuple[Floats, Floats]:
    """Hours and at most _POINTS values, each standing for a span of the original ones."""
    width = max(1, len(values) // _POINTS)
    whole = values[: len(values) // width * width].reshape(-1, width)
    return np.arange(len(whole)) * width / 3600, how(whole, axis=1)


def _finish(axes: Any) -> None:
    axes.margins(x=0)
    axes.grid(visible=True, color="#E8EAED", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=8, frameon=False, fontsize=8, borderaxespad=0.1)


def _headline(case: Case, results: dict[str, Result]) -> str:
    ours = results[OURS].score
    headline = f"{case.trace.name}: {ours.violation_minutes} bad minutes, {ours.pod_hours:.0f} pod-hours"
    baseline = results.get("hpa")
    if baseline is None:
        return headline
    return f"{headline} (hpa: {baseline.score.violation_minutes}, {baseline.score.pod_hours:.0f})"


def _page(case: Case, results: dict[str, Result], drawing: str) -> str:
    world = case.assumed.world
    facts = (
        f"{case.trace.duration / 3600:.1f} hours; a pod handles {world.service.capacity:.3g} requests/s with 5 % slow "
        f"ones and needs {world.startup_seconds:g} s to start; {world.bounds.least} to {world.bounds.most} replicas."
    )
    decided = in_words(results[OURS].stretches, case.trace.started_at)
    told = (*case.assumed.notes, *(f"{OURS}: {line}" for line in decided))
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in told)
    rows = "".join(_row(name, result, results.get("oracle"), case) for name, result in results.items())
    return _PAGE.format(title=html.escape(_headline(case, results)), facts=facts, notes=notes, rows=rows, chart=drawing)


def _row(name: str, result: Result, oracle: Result | None, case: Case) -> str:
    row, run = result.score, result.run
    worst = _worst_hour(bad_minutes(run.arrivals, run.slow, case.assumed.world.service.slow_limit))
    times = f"{row.pod_hours / oracle.score.pod_hours:.2f}" if oracle else "-"
    cells = (
        f"{row.violation_minutes}",
        worst,
        f"{row.pod_hours:.1f}",
        times,
        f"{row.actions}",
        f"{row.flips}",
        f"{row.slow_share:.2%}",
    )
    return f"<tr><th>{html.escape(name)}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _worst_hour(bad: Floats) -> str:
    starts = np.arange(0, len(bad), 60)
    hours = np.add.reduceat(bad, starts)
    worst = int(np.argmax(hours))
    return f"{int(hours[worst])} in hour {worst}" if hours[worst] else "-"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; color: #202124; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }}
  h1 {{ font-size: 1.4rem; }} .muted, caption {{ color: #5f6368; text-align: left; }}
  table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
  th, td {{ text-align: right; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #dadce0; }}
  th:first-child {{ text-align: left; }} svg {{ width: 100%; height: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="muted">{facts}</p>
<ul class="muted">{notes}</ul>
<table>
<caption>A minute is bad when more than 5 % of its requests are slow or fail. The oracle knows the future.</caption>
<tr><th>policy</th><th>bad minutes</th><th>worst hour</th><th>pod-hours</th><th>x oracle</th><th>actions</th>
<th>flips</th><th>slow requests</th></tr>
{rows}
</table>
<figure role="img" aria-label="Load, capacity, latency and replicas over time" style="margin: 1.5rem 0">{chart}</figure>
</body>
</html>
"""
