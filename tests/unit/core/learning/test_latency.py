"""Histograms of durations: quantiles as Prometheus has them, and the share of slow requests."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.learning.latency import flaw_of, merged, quantile, slow_share, smoothed

INF = math.inf
APP = {0.1: 60.0, 0.25: 90.0, 0.5: 95.0, INF: 100.0}


@pytest.mark.parametrize(
    ("share", "seconds"),
    [
        pytest.param(0.5, 0.1 * 50 / 60, id="in the first bucket, from 0"),
        pytest.param(0.75, 0.1 + 0.15 * 15 / 30, id="half way through a bucket"),
        pytest.param(0.9, 0.25, id="on a bound"),
        pytest.param(0.99, 0.5, id="in the last bucket: its lower bound"),
    ],
)
def test_quantiles_are_those_of_histogram_quantile(share: float, seconds: float) -> None:
    assert quantile(APP, share) == pytest.approx(seconds)


def test_without_requests_nothing_takes_time_and_without_a_histogram_nothing_is_known() -> None:
    assert quantile(dict.fromkeys(APP, 0.0), 0.95) == 0.0
    assert quantile({}, 0.95) is None
    assert quantile({INF: 5.0}, 0.95) is None


@pytest.mark.parametrize(
    ("limit", "failures", "share"),
    [
        pytest.param(0.25, 0.0, 0.1, id="at a bound"),
        pytest.param(0.175, 0.0, 0.25, id="between two bounds"),
        pytest.param(0.05, 0.0, 0.7, id="below the first bound"),
        pytest.param(3.0, 0.0, 0.05, id="beyond the last bound"),
        pytest.param(0.25, 20.0, 0.3, id="failed requests are bad, too"),
        pytest.param(0.25, 500.0, 1.0, id="never more than all"),
    ],
)
def test_the_share_of_bad_requests(limit: float, failures: float, share: float) -> None:
    assert slow_share(APP, limit, failures) == pytest.approx(share)


def test_no_requests_have_no_share() -> None:
    assert slow_share(dict.fromkeys(APP, 0.0), 0.25) is None
    assert slow_share({}, 0.25) is None


def test_pods_are_merged_by_bound() -> None:
    assert merged([APP, APP, {}]) == {bound: 2 * rate for bound, rate in APP.items()}


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), st.floats(0.001, 20))
def test_shares_and_quantiles_agree(steps: list[float], limit: float) -> None:
    bounds = (0.1, 0.25, 0.5, INF)
    histogram = {bound: sum(steps[: index + 1]) for index, bound in enumerate(bounds)}
    share = slow_share(histogram, limit)
    if share is None:
        assert sum(steps) == 0
        return
    assert 0 <= share <= 1
    for shorter in (limit / 2, limit / 10):
        assert (slow_share(histogram, shorter) or 0) >= share - 1e-9


BROKEN = {
    "no infinite bound": ({0.1: 2.0, 1.0: 8.0}, '"+Inf"'),
    "decreasing": ({0.1: 8.0, 1.0: 2.0, INF: 10.0}, "fewer requests"),
    "fewer in all than in a part": ({0.1: 2.0, 1.0: 8.0, INF: 4.0}, "fewer requests"),
    "NaN": ({0.1: math.nan, INF: 4.0}, "not valid numbers"),
    "negative": ({0.1: -1.0, INF: 4.0}, "not valid numbers"),
    "infinitely many": ({0.1: 1.0, INF: math.inf}, "not valid numbers"),
}


@pytest.mark.parametrize(("histogram", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_histogram_has_a_flaw(histogram: dict[float, float], message: str) -> None:
    assert message in flaw_of(histogram)


def test_rates_that_differ_by_how_they_were_stretched_are_no_flaw() -> None:
    uneven = {0.1: 8.0, 0.25: 7.9, 0.5: 9.0, INF: 8.9}
    assert flaw_of(uneven) == flaw_of(APP) == ""
    assert smoothed(uneven) == {0.1: 8.0, 0.25: 8.0, 0.5: 9.0, INF: 9.0}


def test_pods_of_two_versions_with_other_bounds_are_merged_without_losing_requests() -> None:
    old, new = {0.1: 10.0, 1.0: 10.0, INF: 10.0}, {0.5: 10.0, INF: 10.0}
    together = merged([old, new])
    assert together == {0.1: 12.0, 0.5: 20.0, 1.0: 20.0, INF: 20.0}
    assert slow_share(together, 0.5) == 0.0
