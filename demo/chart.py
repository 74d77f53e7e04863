"""The picture of a run: load, replicas and latency over one time axis, decisions as vertical marks."""

import io
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from demo.chart_sizes import draw_cpu, draw_memory
from demo.plan import Plan
from demo.recording import Recording
from demo.style import BLUE, GREEN, GREY, INK, ORANGE, STYLE, VERMILION


def picture(recording: Recording, plan: Plan, title: str, kind: str) -> bytes:
    """The chart as a file's content; `kind` is "png" or "svg"."""
    sized = len(recording.sizes) > 1
    figure = Figure(figsize=(11, 13.2 if sized else 8.4), layout="constrained", facecolor="white")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK)
    heights = (3, 3, 3, 2.4, 2.4) if sized else (3, 3, 2.4)
    load, replicas, *sizes, latency = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _draw_load(load, recording)
    _draw_replicas(replicas, recording)
    for axes, draw in zip(sizes, (draw_cpu, draw_memory), strict=False):
        draw(axes, recording)
    _draw_latency(latency, recording)
    for axes in (load, replicas, *sizes, latency):
        _mark_stages(axes, plan, recording.end)
        _mark_decisions(axes, recording)
        _finish(axes, recording.end)
    _name_stages(load, plan, recording.end)
    _name_decisions(replicas, recording)
    figure.align_ylabels()
    latency.set_xlabel("time since the load began (minutes:seconds)", color=INK)
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=150, metadata={"Title": "Load, replicas and latency"})
    return content.getvalue()


def _draw_load(axes: Any, recording: Recording) -> None:
    # The last sample, of the generator's end, is no full second.
    times = [sample.at for sample in recording.load if sample.users]
    rates = [len(sample.latencies_ms) for sample in recording.load if sample.users]
    axes.fill_between(times, rates, step="pre", color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(times, rates, drawstyle="steps-pre", color=BLUE, label="requests answered", **STYLE)
    if recording.state.target:
        capacity = [state.ready * recording.state.target for state in recording.timeline()]
        _steps(axes, recording, capacity, color=ORANGE, linestyle="--", label="target x ready pods")
    failed = [sample for sample in recording.load if sample.failed]
    if failed:
        axes.scatter(
            [sample.at for sample in failed],
            [sample.failed for sample in failed],
            marker="X",
            color=VERMILION,
            zorder=5,
            label="failed requests",
        )
    axes.set_ylabel("requests per second", color=INK)


def _draw_replicas(axes: Any, recording: Recording) -> None:
    ready = [state.ready for state in recording.timeline()]
    _steps(axes, recording, [state.replicas for state in recording.timeline()], color=VERMILION, label="desired")
    _steps(axes, recording, ready, color=GREEN, label="ready", linestyle="--")
    axes.fill_between(*_until_end(recording, ready), step="post", color=GREEN, alpha=0.12, linewidth=0)
    axes.plot([], [], color=INK, linewidth=0.9, linestyle=":", label="scaling decision")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel("replicas", color=INK)


def _draw_latency(axes: Any, recording: Recording) -> None:
    times = [sample.at for sample in recording.load]
    for quantile, colour, line in ((0.95, VERMILION, "-"), (0.5, BLUE, "--")):
        values = [recording.latency(quantile, at) for at in times]
        shown = [float("nan") if value is None else value for value in values]
        axes.plot(times, shown, color=colour, linestyle=line, label=f"p{quantile * 100:.0f} of 5 s", **STYLE)
    axes.set_ylabel("latency (ms)", color=INK)


def _until_end(recording: Recording, values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The states' times and `values`, with the last one held until the end of the run."""
    times = [max(state.at, 0.0) for state in recording.timeline()]
    return [*times, recording.end], [*values, *values[-1:]] if values else [0.0]


def _steps(axes: Any, recording: Recording, values: Sequence[float], **style: Any) -> None:
    axes.plot(*_until_end(recording, values), drawstyle="steps-post", **{**STYLE, **style})


def _mark_stages(axes: Any, plan: Plan, end: float) -> None:
    for span in plan.spans():
        if span.name in (plan.rise.name, plan.fall.name) and span.begin < end:
            axes.axvspan(span.begin, min(span.end, end), color=GREY, alpha=0.09, linewidth=0)


def _name_stages(axes: Any, plan: Plan, end: float) -> None:
    for span in plan.spans():
        if span.begin < end:
            middle = (span.begin + min(span.end, end)) / 2
            _note(axes, middle, span.name, color=GREY)


def _mark_decisions(axes: Any, recording: Recording) -> None:
    for decision in recording.changes():
        axes.axvline(decision.at, color=INK, linewidth=0.9, linestyle=":", zorder=1)


def _name_decisions(axes: Any, recording: Recording) -> None:
    """From and to of each change, on two lines in turn, as decisions may be seconds apart."""
    for number, decision in enumerate(recording.changes()):
        text = f"{decision.replicas_from}→{decision.replicas_to}"
        _note(axes, decision.at, text, color=INK, lift=3 + 10 * (number % 2))


def _note(axes: Any, at: float, text: str, color: str, lift: int = 3) -> None:
    """A word at a moment, `lift` points above the axes."""
    axes.annotate(
        text, (at, 1), xycoords=("data", "axes fraction"), xytext=(0, lift), textcoords="offset points",
        ha="center", fontsize=8.5, color=color,
    )  # fmt: skip


def _finish(axes: Any, end: float) -> None:
    axes.margins(y=0.12)
    axes.set_xlim(0, max(end, 1))
    axes.set_ylim(0, max(axes.get_ylim()[1], 1))
    axes.xaxis.set_major_locator(MultipleLocator(15 if end <= 150 else 30))
    axes.xaxis.set_major_formatter(FuncFormatter(_clock()))
    axes.grid(axis="y", color="#DADCE0", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BDC1C6")
    axes.tick_params(colors=GREY, labelsize=9)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)


def _clock() -> Callable[[float, int], str]:
    return lambda seconds, _position: f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
