"""The queueing model of a pod."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.backtest.service import Queue, Service, erlang_c, slow_requests


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
def test_with_one_worker_a_request_waits_as_often_as_the_worker_is_busy(load: float) -> None:
    assert erlang_c(1, load) == pytest.approx(load)


@pytest.mark.parametrize(
    ("workers", "offered", "expected"),
    [(2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (4, 2.0, 0.1739), (10, 8.0, 0.4092)],
    ids=["2 workers", "3 workers", "4 workers half busy", "10 workers"],
)
def test_erlang_c_has_the_values_of_the_textbooks(workers: int, offered: float, expected: float) -> None:
    assert erlang_c(workers, offered) == pytest.approx(expected, abs=1e-4)


def test_at_its_capacity_just_five_percent_of_a_pods_requests_are_slow() -> None:
    service = Service()
    assert service.slow_share(service.capacity / service.rate) == pytest.approx(0.05)
    assert service.capacity == pytest.approx(28.87, abs=0.01)


@given(st.floats(0.01, 0.98), st.floats(0.001, 0.02))
def test_busier_pods_are_never_faster(utilisation: float, more: float) -> None:
    assert Service().slow_share(utilisation + more) > Service().slow_share(utilisation)


@given(st.floats(0.1, 10_000))
def test_a_pod_made_for_a_capacity_has_it(capacity: float) -> None:
    assert Service().with_capacity(capacity).capacity == pytest.approx(capacity)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(0, 4))
def test_what_has_arrived_is_served_waits_or_has_failed(arrivals: list[int], pods: int) -> None:
    queue = Queue([float(number) for number in arrivals], Service())
    queue.serve(0, len(arrivals), pods)
    served = [total - late for total, late in zip(np.cumsum(arrivals), queue.behind, strict=True)]
    assert all(0 <= more <= pods * 40 + 1e-6 for more in np.diff([0.0, *served]))


@given(st.lists(st.integers(0, 200), min_size=2, max_size=60), st.integers(1, 4), st.integers(1, 59))
def test_it_does_not_matter_in_how_many_pieces_time_passes(arrivals: list[int], pods: int, cut: int) -> None:
    numbers = [float(number) for number in arrivals]
    whole, pieces = Queue(numbers, Service()), Queue(numbers, Service())
    cut = min(cut, len(numbers) - 1)
    whole.serve(0, len(numbers), pods)
    pieces.serve(0, cut, pods)
    pieces.serve(cut, len(numbers), pods)
    assert pieces.backlog == pytest.approx(whole.backlog)
    assert pieces.behind == pytest.approx(whole.behind)


def test_every_request_is_slow_behind_a_long_queue_and_without_pods() -> None:
    arrivals, ready = np.asarray([30.0, 30.0, 30.0]), np.asarray([1, 1, 0])
    slow = slow_requests(arrivals, np.asarray([0.0, 20.0, 0.0]), ready, Service())
    assert slow[0] < 3
    assert list(slow[1:]) == [30.0, 30.0]
