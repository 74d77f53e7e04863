"""VPA re-implemented: its own figures, as its documentation and source tell them."""

import pytest

from scalableapp.backtest.vpa import Bounds, Histogram, Recommender, evicts

DAY = 86_400.0
MI = 2**20


def flat(days: float, cpu: float, memory: float = 200 * MI) -> Recommender:
    recommender = Recommender()
    for minute in range(int(days * 1440) + 1):
        recommender.observe(1e9 + 60 * minute, cpu, memory)
    return recommender


def minutes_until(recommender: Recommender, cpu: float, reached: float, *, above: bool) -> int:
    at = 1e9 + 8 * DAY
    for minute in range(1, 10 * 1440):
        recommender.observe(at + 60 * minute, cpu, 200 * MI)
        target = recommender.bounds(at + 60 * minute)["cpu"].target
        if target >= reached if above else target <= reached:
            return minute
    raise AssertionError("never")


@pytest.mark.parametrize(("value", "end"), [(0.005, 0.01), (0.01, 0.0205), (1.0, 1.03)])
def test_a_percentile_is_the_end_of_its_bucket(value: float, end: float) -> None:
    histogram = Histogram(0.01)
    histogram.add(1e9, value, 1.0)
    assert histogram.percentile(0.9) == pytest.approx(end, rel=0.03)


@pytest.mark.parametrize(("days", "factor"), [(0.5, 3.0), (1, 2.0), (7, 1 + 1 / 7)])
def test_the_upper_bound_is_wide_while_history_is_short(days: float, factor: float) -> None:
    bounds = flat(days, 0.2).bounds(1e9 + days * DAY)["cpu"]
    assert bounds.upper / bounds.target == pytest.approx(factor, rel=0.01)


def test_small_pods_get_its_floors() -> None:
    bounds = flat(0.1, 0.001, 10 * MI).bounds(1e9 + 0.1 * DAY)
    assert bounds["cpu"].target == 0.025
    assert bounds["memory"].target == 250 * MI


def test_a_rise_of_cpu_takes_hours_and_a_fall_days() -> None:
    """Measured with VPA's own code after 8 flat days: 3.7 h up, 79.7 h down."""
    assert minutes_until(flat(8, 0.2), 1.0, 1.0, above=True) / 60 == pytest.approx(3.7, abs=0.1)
    assert minutes_until(flat(8, 1.0), 0.2, 0.3, above=False) / 60 == pytest.approx(79.7, abs=0.5)


def test_a_kill_asks_for_a_fifth_more_or_100_mib() -> None:
    recommender = flat(0.1, 0.1, 200 * MI)
    recommender.killed(1e9 + 0.1 * DAY, 1000 * MI)
    assert recommender.peak == pytest.approx(1200 * MI)


@pytest.mark.parametrize(
    ("request_", "hours", "evicted"),
    [(1.0, 1, False), (3.0, 1, True), (0.3, 1, True), (1.2, 11, False), (1.2, 13, True), (1.05, 13, False)],
    ids=["on target", "above", "below", "young", "old and different", "old and near"],
)
def test_the_updater_evicts_out_of_bounds_or_when_old_and_different(
    request_: float, hours: float, evicted: bool
) -> None:
    assert evicts({"cpu": Bounds(1.0, 0.5, 2.0)}, {"cpu": request_}, hours * 3600) is evicted
