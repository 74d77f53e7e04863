"""Histograms of durations: quantiles as Prometheus has them, and the share of slow requests."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.latency import merged, quantile, slow_share

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
