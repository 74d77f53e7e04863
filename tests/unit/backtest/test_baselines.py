"""The baselines' rules, against what their sources say."""

import pytest

from scalableapp.backtest.baselines import Hpa, Kpa, Largest, UpLimit, cpu, request_rate
from tests.unit.backtest.build import signals


@pytest.mark.parametrize(
    ("rate", "replicas", "new", "expected"),
    [
        (80, 4, 0, 4),
        (128, 4, 0, 7),
        (88, 4, 0, 4),
        (89.6, 4, 0, 5),
        (40, 4, 0, 2),
        (72, 4, 0, 4),
        (96, 6, 3, 6),
        (150, 5, 1, 8),
        (40, 6, 3, 2),
    ],
    ids=[
        "on target",
        "80 % of 50 % on 4 pods",
        "tolerance up",
        "56 % is beyond the tolerance",
        "half",
        "tolerance down",
        "starting pods count as idle, which turns the direction: no change",
        "93 % on 4 of 5 pods is 75 % on all",
        "down by the ready pods alone",
    ],
)
def test_hpa_decides_on_cpu_as_kubernetes_does(rate: float, replicas: int, new: int, expected: int) -> None:
    seen = signals([rate] * 60, replicas, new)
    assert cpu(0.5)(seen, 0.1) == expected


def test_hpa_sees_whole_percents_of_cpu() -> None:
    assert cpu(0.5)(signals([4 * 40 * 0.559] * 60, 4), 0.1) == 4
    assert cpu(0.5)(signals([4 * 40 * 0.561] * 60, 4), 0.1) == 5


@pytest.mark.parametrize(
    ("rate", "replicas", "expected"),
    [(100, 5, 5), (109, 5, 5), (112, 5, 6), (60, 5, 3)],
    ids=["on target", "tolerance", "one more", "down"],
)
def test_an_average_value_is_spread_over_the_replicas(rate: float, replicas: int, expected: int) -> None:
    assert request_rate(20, 30)(signals([rate] * 60, replicas), 0.1) == expected


def test_hpa_goes_up_at_once_and_down_to_the_highest_of_its_window() -> None:
    wanted = iter([5, 8, 3, 3])
    hpa = Hpa("test", lambda _signals, _tolerance: next(wanted), down_window_seconds=300)
    seen, numbers = signals([1] * 10, 4), []
    for now in (0, 15, 30, 400):
        seen.now = now
        number = hpa.replicas(seen)
        seen.fleet.scale(now, number)
        numbers.append(number)
    assert numbers == [5, 8, 8, 3]


@pytest.mark.parametrize(("current", "expected"), [(1, [5, 5, 10]), (10, [20, 20, 40])], ids=["4 pods", "100 percent"])
def test_hpa_adds_four_pods_or_doubles_in_fifteen_seconds(current: int, expected: list[int]) -> None:
    limit, reached = UpLimit(), []
    for now in (0, 7, 15):
        current = limit.limit(now, current, 100)
        reached.append(current)
    assert reached == expected


def test_the_largest_of_a_window_is_forgotten_when_it_is_too_old() -> None:
    largest = Largest(10)
    assert [largest.put(now, value) for now, value in ((0, 5), (5, 3), (9, 4), (11, 1))] == [5, 5, 5, 4]


def test_knative_follows_its_stable_window() -> None:
    assert Kpa("kpa", 20).replicas(signals([100] * 60, 4)) == 5


def test_knative_panics_at_twice_the_ready_pods_and_then_does_not_go_down() -> None:
    kpa, calm, burst = Kpa("kpa", 20), [40.0] * 54, [200.0] * 6
    assert kpa.replicas(signals(calm + burst, 2)) == 10
    assert kpa.replicas(signals([40.0] * 60, 2)) == 10


def test_knative_halves_at_most() -> None:
    assert Kpa("kpa", 20).replicas(signals([1] * 60, 9)) == 4
