"""What does not answer is left alone, and tried again now and then by one."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from sample_app.caching.breaker import Breaker

ERROR = OSError("connection refused")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[bool]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[bool]) -> Breaker:
    return Breaker("Redis", changes.append, failures=3, pause_seconds=5.0, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(ERROR)


def test_single_failures_open_nothing(breaker: Breaker, changes: list[bool]) -> None:
    for _ in range(10):
        fail(breaker, 2)
        breaker.succeeded()
    assert breaker.allows()
    assert changes == []


def test_failures_in_a_row_open_it_and_it_says_so_once(
    breaker: Breaker, changes: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        fail(breaker, 20)
    assert not breaker.allows()
    assert changes == [True]
    assert [record.getMessage() for record in caplog.records] == [
        "Redis does not answer and is left alone, tried every 5 s: connection refused"
    ]


def test_after_the_pause_one_of_many_tries(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds = 5.0
    with ThreadPoolExecutor(16) as pool:
        allowed = list(pool.map(lambda _: breaker.allows(), range(64)))
    assert allowed.count(True) == 1
    breaker.failed(ERROR)
    assert not breaker.allows()
    clock.seconds = 10.0
    assert breaker.allows()


def test_it_closes_when_the_try_succeeds(breaker: Breaker, clock: Clock, changes: list[bool]) -> None:
    fail(breaker, 3)
    clock.seconds = 5.0
    assert breaker.allows()
    breaker.succeeded()
    assert all(breaker.allows() for _ in range(5))
    assert changes == [True, False]
