"""What comes out of a measurement: values with and without a technique, and curves. Numbers only, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure measured twice in one round, without and with a technique.

    `more_is_better` says which way the figure should go. `gains` are those of all rounds, best to compare: a busy
    machine changes both figures of a round alike.
    """

    topic: str
    what: str
    unit: str
    without: float
    with_it: float
    labels: tuple[str, str]
    more_is_better: bool = True
    gains: tuple[float, ...] = ()

    @property
    def gain(self) -> float:
        """How many times better it is with the technique; below 1 when it is worse."""
        return median(self.gains) if self.gains else ratio(self.without, self.with_it, self.more_is_better)


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure over a parameter, such as requests/s over workers."""

    chart: str
    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Results:
    """What the rounds of one run have brought so far."""

    comparisons: list[Comparison] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def __add__(self, other: "Results") -> "Results":
        return Results(self.comparisons + other.comparisons, self.curves + other.curves)


def ratio(without: float, with_it: float, more_is_better: bool) -> float:
    """How many times better `with_it` is. Infinite when the worse figure is 0 and the better one is not."""
    better, worse = (with_it, without) if more_is_better else (without, with_it)
    if worse == 0:
        return 1.0 if better == 0 else float("inf")
    return better / worse


def merge(rounds: Sequence[Results]) -> Results:
    """The rounds as one: medians of the figures, and the gain of each round."""
    return Results(_merge_comparisons(rounds), _merge_curves(rounds))


def _merge_comparisons(rounds: Sequence[Results]) -> list[Comparison]:
    same: dict[tuple[str, str, str], list[Comparison]] = {}
    for comparison in (each for one in rounds for each in one.comparisons):
        same.setdefault((comparison.topic, comparison.what, comparison.unit), []).append(comparison)
    return [
        replace(
            found[0],
            without=median(one.without for one in found),
            with_it=median(one.with_it for one in found),
            gains=tuple(one.gain for one in found),
        )
        for found in same.values()
    ]


def _merge_curves(rounds: Sequence[Results]) -> list[Curve]:
    same: dict[tuple[str, str], dict[float, list[float]]] = {}
    for curve in (each for one in rounds for each in one.curves):
        points = same.setdefault((curve.chart, curve.label), {})
        for x, y in curve.points:
            points.setdefault(x, []).append(y)
    return [
        Curve(chart, label, tuple((x, median(ys)) for x, ys in sorted(points.items())))
        for (chart, label), points in same.items()
    ]
