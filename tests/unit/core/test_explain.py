from datetime import timedelta

import pytest

from scalableapp.core.explain import clock, count, count_with_verb, duration, in_unit_of, when
from tests.unit.core.build import NOW


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (45, "45 s"),
        (60, "1 m"),
        (200, "3 m 20 s"),
        (3600, "1 h"),
        (3905, "1 h 5 m"),
        (-3, "0 s"),
    ],
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (0.412, "300m", "412m"),
        (0.4125, "0.3", "0.412"),
        (157286400, "200Mi", "150Mi"),
        (62.4, "50", "62.4"),
        (1500, "1e3", "1500"),
        (2500, "1k", "2.5k"),
        (0, "300m", "0m"),
    ],
)
def test_numbers_take_the_unit_they_are_compared_in(value: float, beside: str, text: str) -> None:
    assert in_unit_of(value, beside) == text


def test_one_is_singular() -> None:
    assert (count(1, "pod"), count(2, "pod"), count(0, "pod")) == ("1 pod", "2 pods", "0 pods")


def test_a_verb_goes_with_its_number() -> None:
    assert [count_with_verb(n, "pod") for n in (0, 1, 2)] == ["0 pods are", "1 pod is", "2 pods are"]
    assert count_with_verb(1, "pod", "has", "have") == "1 pod has"


def test_clock_is_the_time_of_day_with_the_date_of_another_day() -> None:
    assert clock(NOW, NOW) == "12:06:35 UTC"
    assert clock(NOW - timedelta(days=1), NOW) == "2026-11-22 12:06:35 UTC"


def test_what_is_to_come_is_reported_from_now_and_by_the_clock() -> None:
    assert when(NOW + timedelta(seconds=12), NOW) == "in 12 s (12:06:47 UTC)"
    assert when(NOW + timedelta(hours=12), NOW) == "in 12 h (2026-11-24 00:06:35 UTC)"
