"""The decaying histogram: percentiles of the recent past."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.learning.histogram import GROWTH, Histogram


def filled(values: list[float], half_life: float = 900.0, step: float = 60.0) -> Histogram:
    histogram = Histogram(half_life)
    for number, value in enumerate(values):
        histogram = histogram.add(1e9 + number * step, value)
    return histogram


def test_without_samples_there_is_no_percentile() -> None:
    assert Histogram(900).percentile(90) is None


@given(st.floats(1e-4, 1e12), st.integers(50, 100))
def test_a_constant_value_is_reported_at_most_a_bucket_too_high(value: float, percent: int) -> None:
    found = filled([value] * 5).percentile(percent)
    assert found is not None
    assert value * (1 - 1e-5) <= found <= value * GROWTH * (1 + 1e-5)


def test_nothing_used_is_zero() -> None:
    assert filled([0.0] * 3).percentile(90) == 0.0


@pytest.mark.parametrize(("percent", "minutes"), [(90, 3), (98, 1), (50, 16)])
def test_a_rise_shows_once_the_new_value_has_its_share_of_the_weight(percent: int, minutes: int) -> None:
    histogram = filled([0.2] * 600)
    passed = 0
    while (histogram.percentile(percent) or 0) < 0.9:
        histogram, passed = histogram.add(histogram.last + 60, 1.0), passed + 1
    assert passed == minutes


def test_a_fall_shows_when_the_old_value_has_decayed() -> None:
    histogram = filled([1.0] * 600)
    minutes = 0
    while (histogram.percentile(90) or 0) > 0.9:
        histogram, minutes = histogram.add(histogram.last + 60, 0.2), minutes + 1
    assert minutes == math.ceil(15 * math.log2(10))


def test_what_is_long_past_is_forgotten_and_weights_stay_small() -> None:
    histogram = filled([5.0] * 100).add(1e9 + 30 * 86400, 1.0)
    assert (histogram.percentile(100) or 0) < 1.1
    assert max(filled([1.0] * 5000).weights.values()) < 2**26
