"""The benchmark's results as tables."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.curves import BAD_PERCENT, Result, Setting, at_bad_percent
from benchmarks.policies import POLICIES

_HEADER = (
    f"{'policy':<14}{'cost':>6}{'bad %':>7}{'max':>6}{'slow %':>8}{'actions':>9}{'flips':>7}{'knob':>8}"
    "   cost / bad % of each trace"
)

_COLUMNS = (
    *("trace", "policy", "knob", "setting", "seed"),
    *("bad_percent", "cost", "slow_share", "actions_per_day", "flips_per_day"),
)


def summary(title: str, results: Sequence[Result]) -> str:
    """Each policy with its knob where the traces' mean is BAD_PERCENT bad minutes, the knob interpolated."""
    lines = [f"\n## {title}: cost (x oracle) at {BAD_PERCENT} % bad minutes, one knob for all traces", _HEADER]
    lines += [_policy(name, results) for name in POLICIES if any(result.job.policy == name for result in results)]
    lines += _as_stated(results)
    return "\n".join(lines)


def robustness(results: Sequence[Result]) -> str:
    """Pods that are slower than the policies were told, each policy at the knob that suits pods as stated."""
    slowed = [result for result in results if result.job.setting.slowed != 1]
    lines = [
        "\n## Capacity over-stated: bad minutes in percent (mean, max) and cost with the knob of the true capacity"
    ]
    for name in POLICIES:
        shown = [result for result in results if result.job.policy == name and result.job.setting == Setting()]
        worse = [result for result in slowed if result.job.policy == name]
        if not worse:
            continue
        bad, costs, knobs = _over_knobs(worse)
        right = at_bad_percent(_over_knobs(shown)[0], _over_knobs(shown)[2])
        mean, cost = np.interp(right, knobs, bad), np.interp(right, knobs, costs)
        nearest = min(knobs, key=lambda knob: abs(knob - right))
        most = max(result.score.bad_percent for result in worse if result.job.knob == nearest)
        lines.append(f"{name:<14}{mean:>6.2f}{most:>7.2f}{cost:>7.2f}   (knob {right:.3g})")
    return "\n".join(lines) if len(lines) > 1 else ""


def to_file(results: Sequence[Result], path: Path) -> None:
    """Every run as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for result in results:
            job, found = result.job, result.score
            identity = (job.trace, job.policy, job.knob, str(job.setting), job.seed)
            figures = (found.bad_percent, result.cost, found.slow_share, found.actions_per_day, found.flips_per_day)
            rows.writerow((*identity, *(f"{figure:.5g}" for figure in figures)))


def _policy(name: str, results: Sequence[Result]) -> str:
    own = [result for result in results if result.job.policy == name]
    bad, costs, knobs = _over_knobs(own)
    if not min(bad) <= BAD_PERCENT <= max(bad):
        nearest = min(range(len(bad)), key=lambda index: abs(bad[index] - BAD_PERCENT))
        return (
            f"{name:<14}{costs[nearest]:>6.3f}{bad[nearest]:>7.2f}   its knob does not reach {BAD_PERCENT} %: "
            f"this is at {knobs[nearest]:g}"
        )

    def at_knob(value: Callable[[Result], float]) -> float:
        means = [fmean(value(result) for result in own if result.job.knob == knob) for knob in knobs]
        return at_bad_percent(bad, means)

    return _line(name, own, at_knob, at_bad_percent(bad, knobs))


def _as_stated(results: Sequence[Result]) -> list[str]:
    """The objective with the budget that is meant, not one that is picked afterwards."""
    own = [result for result in results if result.job.policy == "objective" and result.job.knob == BAD_PERCENT / 100]
    return [_line("as stated", own, lambda value: fmean(map(value, own)), BAD_PERCENT / 100)] if own else []


def _line(name: str, own: Sequence[Result], at_knob: Callable[[Callable[[Result], float]], float], knob: float) -> str:
    traces = {trace: _of_trace(own, trace, knob) for trace in sorted({result.job.trace for result in own})}
    cost = np.exp(at_knob(lambda result: float(np.log(result.cost))))
    return (
        f"{name:<14}{cost:>6.3f}{fmean(bad for _, bad in traces.values()):>7.2f}"
        f"{max(bad for _, bad in traces.values()):>6.2f}"
        f"{at_knob(lambda result: 100 * result.score.slow_share):>8.2f}"
        f"{at_knob(lambda result: result.score.actions_per_day):>9.0f}"
        f"{at_knob(lambda result: result.score.flips_per_day):>7.0f}{knob:>8.3g}   "
        + "  ".join(f"{trace[:9]} {cost:.2f}/{bad:.2f}" for trace, (cost, bad) in traces.items())
    )


def _of_trace(own: Sequence[Result], trace: str, knob: float) -> tuple[float, float]:
    """Cost and bad percent of one trace at a knob between those that were run."""
    bads, costs, knobs = _over_knobs([result for result in own if result.job.trace == trace])
    logs = np.log(np.maximum(bads, 1e-3))
    bad = float(np.exp(np.interp(knob, knobs, logs)))
    return float(np.interp(knob, knobs, costs)), bad if bad > 1e-3 else 0.0


def _over_knobs(own: Sequence[Result]) -> tuple[list[float], list[float], list[float]]:
    """Mean bad percent and geometric mean cost at each knob."""
    knobs = sorted({result.job.knob for result in own})
    bad = [fmean(result.score.bad_percent for result in own if result.job.knob == knob) for knob in knobs]
    costs = [float(np.exp(fmean(np.log(result.cost) for result in own if result.job.knob == knob))) for knob in knobs]
    return bad, costs, knobs
