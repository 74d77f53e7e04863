"""Ratios, and several rounds as one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.app.results import Comparison, Curve, Results, merge, ratio

POSITIVE = st.floats(min_value=1e-6, max_value=1e9)


def compared(without: float, with_it: float, unit: str = "requests/s", **more: bool) -> Comparison:
    return Comparison("cache", "costly view", unit, without, with_it, ("no cache", "Memory"), **more)


@pytest.mark.parametrize(
    ("without", "with_it", "more_is_better", "gain"),
    [
        (10.0, 500.0, True, 50.0),
        (200.0, 4.0, False, 50.0),
        (100.0, 50.0, True, 0.5),
        (0.0, 45.0, True, math.inf),
        (7.0, 0.0, False, math.inf),
        (0.0, 0.0, True, 1.0),
    ],
    ids=["more", "less", "worse", "from nothing", "to nothing", "nothing at all"],
)
def test_a_gain_says_how_many_times_better(
    without: float, with_it: float, *, more_is_better: bool, gain: float
) -> None:
    assert ratio(without, with_it, more_is_better) == gain


@given(POSITIVE, POSITIVE, st.booleans())
def test_what_is_gained_one_way_is_lost_the_other(one: float, other: float, more_is_better: bool) -> None:
    assert ratio(one, other, more_is_better) * ratio(other, one, more_is_better) == pytest.approx(1.0)


def test_rounds_are_merged_by_their_medians_and_keep_their_gains() -> None:
    """A machine that is twice as busy in a round has both figures halved, and the gain stays."""
    rounds = [Results([compared(10, 500)]), Results([compared(5, 250)]), Results([compared(20, 900)])]
    (merged,) = merge(rounds).comparisons
    assert (merged.without, merged.with_it) == (10, 500)
    assert merged.gains == (50, 50, 45)
    assert merged.gain == 50


def test_figures_of_one_technique_in_different_units_stay_apart() -> None:
    one = Results([compared(10, 500), compared(200, 4, "ms p99", more_is_better=False)])
    assert [each.gain for each in merge([one, one]).comparisons] == [50, 50]


def test_curves_are_merged_point_by_point() -> None:
    rounds = [Results(curves=[Curve("hits", "Redis", ((1.0, y), (4.0, y + 1)))]) for y in (70.0, 74.0)]
    assert merge(rounds).curves == [Curve("hits", "Redis", ((1.0, 72.0), (4.0, 73.0)))]
