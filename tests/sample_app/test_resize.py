"""Workers that follow the CPU limit: when, how fast, how many."""

import logging
import queue
import signal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.resize import LOOKS_TO_SHRINK, Follower, Hysteresis, steps


def numbers(wanted: list[int], current: int) -> list[int]:
    hysteresis, run = Hysteresis(), []
    for one in wanted:
        current = hysteresis.look(one, current)
        run.append(current)
    return run


@pytest.mark.parametrize(
    ("wanted", "run"),
    [
        pytest.param([2, 2, 2], [2, 2, 2], id="nothing changes"),
        pytest.param([4, 4, 4], [2, 4, 4], id="growth counts from the second look"),
        pytest.param([4, 2, 4, 2], [2, 2, 2, 2], id="a flicker does not count"),
        pytest.param([4, 3, 3], [2, 3, 3], id="only what lasts counts"),
        pytest.param([1] * 3, [2, 2, 2], id="shrinking takes longer"),
    ],
)
def test_a_changed_limit_has_to_last(wanted: list[int], run: list[int]) -> None:
    assert numbers(wanted, current=2) == run


def test_a_smaller_limit_counts_when_it_has_lasted() -> None:
    assert numbers([2] * LOOKS_TO_SHRINK, current=4) == [4] * (LOOKS_TO_SHRINK - 1) + [2]


@given(st.lists(st.integers(2, 8), min_size=1), st.integers(2, 8))
def test_the_number_is_always_one_that_was_asked_for_or_the_current_one(wanted: list[int], current: int) -> None:
    assert set(numbers(wanted, current)) <= {*wanted, current}


@pytest.mark.parametrize(
    ("before", "after", "signals"),
    [(2, 4, [signal.SIGTTIN] * 2), (4, 3, [signal.SIGTTOU]), (3, 3, [])],
    ids=["grow", "shrink", "stay"],
)
def test_gunicorn_is_told_one_step_at_a_time(before: int, after: int, signals: list[signal.Signals]) -> None:
    assert list(steps(before, after)) == signals


def test_the_master_is_told_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = SimpleNamespace(num_workers=2, SIG_QUEUE=queue.SimpleQueue())
    follower = Follower(server, lambda: 4)  # type: ignore[arg-type]  # what it uses of the arbiter
    follower.look()
    assert server.SIG_QUEUE.empty()
    follower.look()
    assert [server.SIG_QUEUE.get_nowait() for _ in range(2)] == [signal.SIGTTIN] * 2
    assert caplog.messages == ["workers: 2 -> 4, to match the container's CPU limit"]
