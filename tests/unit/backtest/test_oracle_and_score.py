"""The perfect-foresight plan, and what a run is judged by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scalableapp.backtest.oracle import forward_max, oracle
from scalableapp.backtest.score import score
from scalableapp.backtest.service import Service
from scalableapp.backtest.simulator import Bounds, Run, World


@given(arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 9)), st.integers(1, 50))
def test_the_maximum_ahead_is_that_of_the_window(values: np.ndarray, width: int) -> None:
    expected = [max(values[at : at + width]) for at in range(len(values))]
    assert list(forward_max(values, width)) == expected


@given(st.lists(st.integers(0, 300), min_size=30, max_size=120), st.integers(1, 40))
def test_the_oracle_has_enough_ready_pods_in_every_second(rates: list[int], startup: int) -> None:
    world = World(startup_seconds=startup, bounds=Bounds(1, 100))
    run = oracle(np.asarray(rates, dtype=np.float64), world)
    starts = np.arange(0, len(rates), 15)
    means = np.add.reduceat(run.arrivals, starts) / np.diff([*starts, len(rates)])
    needed = np.repeat(np.ceil(means / world.service.capacity - 1e-9), np.diff([*starts, len(rates)]))
    assert np.all(run.ready >= needed)
    assert np.all(run.replicas >= run.ready)


def run_of(slow: list[float], changes: tuple[tuple[int, int], ...] = (), replicas: int = 2) -> Run:
    size = len(slow) * 60
    requests, pods = np.full(size, 10.0), np.full(size, replicas)
    late = np.repeat(np.asarray(slow) * 10, 60)
    return Run("test", requests, late, np.zeros(size), pods, pods, changes)


def test_a_minute_is_bad_when_more_than_its_share_of_requests_is_slow() -> None:
    result = score(run_of([0.0, 0.049, 0.051, 1.0]), 0.05)
    assert (result.violation_minutes, result.bad_percent) == (2, 50.0)


def test_what_comes_before_the_warm_up_ends_is_not_scored() -> None:
    result = score(run_of([1.0, 0.0], changes=((10, 1), (70, 1))), 0.05, skip_seconds=60)
    assert (result.violation_minutes, result.actions, result.seconds) == (0, 1, 60)


def test_each_change_is_an_action_and_each_turn_a_flip() -> None:
    result = score(run_of([0.0], changes=((1, 2), (2, 1), (3, -1), (4, 2))), 0.05)
    assert (result.actions, result.flips) == (4, 2)


def test_pods_are_paid_from_their_creation() -> None:
    assert score(run_of([0.0] * 60, replicas=3), Service().slow_limit).pod_hours == 3.0
