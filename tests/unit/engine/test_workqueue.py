"""Whose turn it is."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.model import AppKey
from scalableapp.core.tokens import TokenBucket
from scalableapp.engine.workqueue import FIRST_DELAY_SECONDS, LAST_DELAY_SECONDS, AsyncWorkQueue, WorkQueue

WEB, API = AppKey("shop", "web"), AppKey("shop", "api")


def a_queue(jitter: float = 1.0, limit: int = 100) -> WorkQueue:
    return WorkQueue(jitter=lambda: jitter, limit=limit)


def test_a_key_added_twice_comes_once() -> None:
    queue = a_queue()
    queue.add(WEB, 0)
    queue.add(WEB, 0)
    assert (queue.take(0), queue.take(0)) == (WEB, None)


def test_keys_come_in_the_order_in_which_they_are_due() -> None:
    queue = a_queue()
    queue.add(WEB, 0, delay=5)
    queue.add(API, 0, delay=2)
    assert [queue.take(now) for now in (1, 2, 4, 5)] == [None, API, None, WEB]


def test_a_key_that_waits_comes_sooner_when_it_is_added_with_a_shorter_delay() -> None:
    queue = a_queue()
    queue.add(WEB, 0, delay=60)
    queue.add(WEB, 1)
    assert queue.take(1) == WEB
    assert queue.take(60) is None


def test_a_key_that_waits_is_not_put_off_by_a_longer_delay() -> None:
    queue = a_queue()
    queue.add(WEB, 0, delay=1)
    queue.add(WEB, 0, delay=60)
    assert queue.next_due() == 1


def test_a_key_in_work_is_not_handed_out_but_comes_again_once() -> None:
    queue = a_queue()
    queue.add(WEB, 0)
    assert queue.take(0) == WEB
    queue.add(WEB, 0)
    queue.add(WEB, 0)
    assert queue.take(0) is None
    queue.done(WEB, 1)
    assert (queue.take(1), queue.take(1)) == (WEB, None)


def test_a_key_that_was_not_added_during_its_work_does_not_come_again() -> None:
    queue = a_queue()
    queue.add(WEB, 0)
    queue.take(0)
    queue.done(WEB, 1)
    assert queue.take(1000) is None


def test_failures_back_off_from_one_second_to_a_minute() -> None:
    queue, delays, now = a_queue(), [], 0.0
    queue.add(WEB, now)
    for _ in range(8):
        assert queue.take(now) == WEB
        delays.append(queue.failed(WEB, now))
        now += delays[-1]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


@given(jitter=st.floats(0, 1), failures=st.integers(1, 40))
def test_jitter_stays_in_the_upper_half_of_the_delay(jitter: float, failures: int) -> None:
    queue = a_queue(jitter)
    delay = 0.0
    for _ in range(failures):
        queue.add(WEB, 0)
        queue.take(0)
        delay = queue.failed(WEB, 0)
    full = min(LAST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (failures - 1))
    assert full / 2 <= delay <= full


def test_success_starts_the_back_off_anew() -> None:
    queue = a_queue()
    for _ in range(3):
        queue.add(WEB, 0)
        queue.take(0)
        queue.failed(WEB, 0)
    queue.add(WEB, 0)
    queue.take(0)
    queue.done(WEB, 0)
    queue.add(WEB, 0)
    queue.take(0)
    assert queue.failed(WEB, 0) == FIRST_DELAY_SECONDS


def test_a_change_during_failing_work_is_due_at_once() -> None:
    queue = a_queue()
    queue.add(WEB, 0)
    queue.take(0)
    queue.add(WEB, 0)
    queue.failed(WEB, 0)
    assert queue.take(0) == WEB


def test_a_forgotten_key_is_not_due_and_has_no_back_off() -> None:
    queue = a_queue()
    queue.add(WEB, 0)
    queue.take(0)
    queue.failed(WEB, 0)
    queue.forget(WEB)
    assert queue.take(1000) is None
    assert queue.next_due() is None
    assert WEB not in queue


def test_a_full_queue_refuses_new_keys_but_not_the_ones_it_holds() -> None:
    queue = a_queue(limit=1)
    assert [queue.add(WEB, 0), queue.add(API, 0), queue.add(WEB, 0)] == [True, False, True]


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done", "failed"]), st.integers(0, 3)), max_size=60))
def test_no_key_is_ever_in_two_hands(steps: list[tuple[str, int]]) -> None:
    queue, working, now = a_queue(), set[AppKey](), 0.0
    keys = [AppKey("n", str(number)) for number in range(4)]
    for verb, number in steps:
        now += 1
        if verb == "add":
            queue.add(keys[number], now)
        elif verb == "take":
            key = queue.take(now)
            assert key not in working
            working |= {key} if key else set()
        elif keys[number] in working:
            working.discard(keys[number])
            getattr(queue, verb)(keys[number], now)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_no_added_key_is_ever_lost(delays: list[int]) -> None:
    queue = a_queue()
    for number, delay in enumerate(delays):
        queue.add(AppKey("n", str(number)), 0, delay)
    taken = {queue.take(5) for _ in delays}
    assert taken == {AppKey("n", str(number)) for number in range(len(delays))}


async def test_a_worker_that_waits_gets_a_key_as_soon_as_it_is_added() -> None:
    queue = AsyncWorkQueue(a_queue(), asyncio.get_running_loop().time)
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    queue.add(WEB)
    assert await asyncio.wait_for(waiting, 5) == WEB


async def test_two_workers_never_work_on_the_same_key() -> None:
    queue = AsyncWorkQueue(a_queue(), asyncio.get_running_loop().time)
    queue.add(WEB)
    first = await queue.next()
    queue.add(WEB)
    second = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    assert not second.done()
    queue.done(first)
    assert await asyncio.wait_for(second, 5) == WEB


@pytest.mark.parametrize(
    ("at", "given_out"),
    [([0, 0, 0], 2), ([0, 0, 1], 3), ([0, 0, 0.5], 2), ([0, 100, 100, 100], 3)],
    ids=["burst", "refilled after a second", "half a token is none", "never more than the burst"],
)
def test_tokens(at: list[float], given_out: int) -> None:
    bucket = TokenBucket(rate=1, burst=2)
    assert sum(bucket.take(now) for now in at) == given_out
