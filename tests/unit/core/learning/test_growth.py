"""What change of the load is expected, from its means over a minute and over five."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.learning.growth import Growth, Means


def taught(loads: list[float], ahead: int = 6) -> tuple[Growth, Means]:
    """What loads of every 5 s teach of the change over `ahead` of them; and the means at the end."""
    means, growth = [Means(loads[0], loads[0])], Growth()
    for at, load in enumerate(loads[1:], 1):
        means.append(means[-1].seen(load, 5.0))
        if at >= ahead:
            before = loads[at - ahead]
            growth = growth.seen(means[at - ahead].beside(before), math.log(load / before), 5.0)
    return growth, means[-1]


def test_nothing_is_expected_before_anything_was_seen() -> None:
    assert Growth().expected(Means(80.0, 60.0).beside(100.0)) == 0


def test_noise_is_expected_to_come_back_to_its_mean() -> None:
    chance = random.Random(1)  # noqa: S311 - the same noise each time
    growth, _ = taught([100 * math.exp(chance.gauss(0, 0.1)) for _ in range(2000)])
    assert growth.expected(Means(100.0, 100.0).beside(120.0)) == pytest.approx(math.log(100 / 120), abs=0.04)
    assert growth.expected(Means(100.0, 100.0).beside(80.0)) == pytest.approx(math.log(100 / 80), abs=0.04)


def test_a_ramp_is_expected_to_go_on() -> None:
    growth, means = taught([100 * math.exp(0.005 * at) for at in range(1000)])
    load = 100 * math.exp(0.005 * 999)
    assert growth.expected(means.beside(load)) == pytest.approx(6 * 0.005, rel=0.2)


@given(
    st.lists(st.floats(1e-6, 1e9), min_size=8, max_size=40),
    st.floats(1e-3, 1e9),
    st.floats(0, 1e9),
    st.floats(0, 1e9),
)
def test_no_more_than_a_doubling_or_a_half_is_expected(
    loads: list[float], load: float, short: float, long: float
) -> None:
    growth, _ = taught(loads)
    assert abs(growth.expected(Means(short, long).beside(load))) <= math.log(2)
