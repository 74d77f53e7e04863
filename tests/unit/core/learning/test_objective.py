"""The objective's rule: newsvendor, price, learned capacity, no haste."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.learning.capacity import Capacity, Limits
from scalableapp.core.learning.floor import Minute
from scalableapp.core.learning.idle import LEAST_IDLE_POD_SECONDS, Surplus, delayed_scale_down, wait_of
from scalableapp.core.learning.newsvendor import plan
from scalableapp.core.learning.objective import Learned, Objective, Sample, learn
from scalableapp.core.learning.volatility import MOST_GROWTH, Volatility

LIMITS = Limits(slow_limit=0.05, seconds=0.25)
OBJECTIVE = Objective(LIMITS, budget=0.005)
REACTION = 30.0


def volatility(*growths: float, rounds: int = 400) -> Volatility:
    seen = Volatility.unknown()
    for _ in range(rounds):
        for growth in growths:
            seen = seen.seen(growth, 60.0)
    return seen


def known(per_pod: float) -> Capacity:
    return Capacity(math.log(per_pod), math.log(per_pod))


def taught(per_pod: float = 10.0, log_price: float = 0.0, *growths: float) -> Learned:
    return Learned(volatility=volatility(*growths or (0.0,)), capacity=known(per_pod), log_price=log_price)


def replicas(learned: Learned, load: float, current: int = 1, most: int = 100) -> int:
    best = plan(learned, load, current, OBJECTIVE, most)
    assert best is not None
    return best.replicas


def test_nothing_is_planned_before_a_pod_is_known() -> None:
    assert plan(Learned(), 100, 3, OBJECTIVE, 10) is None


def test_calm_load_needs_no_head_room() -> None:
    assert replicas(taught(), 100, current=10) == 10


def test_load_that_jumps_gets_the_pods_that_a_jump_needs() -> None:
    assert replicas(taught(10, 0, 0.0, 0.0, 0.0, math.log(1.4)), 100) == 14


def test_a_jump_that_hardly_ever_comes_is_not_worth_pods_at_a_low_price() -> None:
    rare = taught(10, -4, *([0.0] * 99), math.log(1.6))
    dear = taught(10, 4, *([0.0] * 99), math.log(1.6))
    assert replicas(rare, 100) < 12 < replicas(dear, 100)


@given(st.floats(0.1, 1e5), st.floats(0.1, 100), st.integers(1, 200), st.floats(-4, 4))
def test_a_plan_carries_the_present_load_and_no_more_than_its_doubling(
    load: float, per_pod: float, current: int, log_price: float
) -> None:
    number = replicas(taught(per_pod, log_price, 0.0, 0.3), load, current, most=10**6)
    assert number * per_pod >= load * (1 - 1e-6)
    assert number <= math.ceil(2 * load / per_pod) + 1


@given(st.floats(1, 1e4), st.floats(1, 2))
def test_more_load_never_gets_fewer_pods_than_it_needs(load: float, more: float) -> None:
    learned = taught(10, 0, 0.0, 0.2)
    assert replicas(learned, load * more) >= math.ceil(load / 10 - 1e-6)


def test_at_most_the_allowed_number_is_planned_unless_the_load_needs_it() -> None:
    wild = taught(10, 4, 0.0, 0.1, 0.2, 0.3, 0.4)
    assert replicas(wild, 100, most=50) == 16
    assert replicas(wild, 100, most=12) == 12
    assert replicas(wild, 100, most=8) == 10


def test_no_plan_is_more_than_an_int32() -> None:
    assert replicas(taught(1e-6), 1e9, most=10**6) == 2**31 - 1


def test_a_load_that_is_expected_to_grow_gets_pods_ahead() -> None:
    ramp = Learned(capacity=known(10.0))
    for step in range(-720, 1):
        ramp = learn(ramp, Sample(step * 5.0, 100 * math.exp(step / 40), 10, None), OBJECTIVE, REACTION)
    assert math.ceil(10 * math.exp(6 / 40)) <= replicas(ramp, 100, current=10) <= 13


def test_a_change_that_saves_next_to_nothing_is_not_made() -> None:
    near_tie = taught(10, 0, *([0.0] * 100), 0.15)
    stays = [number for number in (11, 12) if replicas(near_tie, 100, current=number) == number]
    assert stays


def samples(count: int, *, load: float = 100.0, slow: float | None = 0.0, seconds: float = 5.0) -> Learned:
    learned = Learned()
    for step in range(count):
        learned = learn(learned, Sample(step * seconds, load, 10, slow), OBJECTIVE, REACTION)
    return learned


def test_a_bad_minute_raises_the_price_and_a_good_one_lowers_it_a_little() -> None:
    good, bad = (samples(100, slow=slow).log_price - Learned().log_price for slow in (0.0, 0.2))
    assert bad == pytest.approx(0.995 * 495 * 0.1 / 15)
    assert good == pytest.approx(-0.005 * 495 * 0.1 / 15)


def test_at_the_budget_ups_and_downs_of_the_price_cancel_out() -> None:
    learned = Learned()
    for step in range(2000):
        slow = 0.2 if step % 200 == 0 else 0.0
        learned = learn(learned, Sample(step * 5.0, 100, 10, slow, 0.8), OBJECTIVE, REACTION)
    assert learned.log_price == pytest.approx(Learned().log_price, abs=0.05)


def test_the_price_has_bounds() -> None:
    assert samples(3000, slow=1.0).log_price == 4.0


def test_without_a_latency_metric_nothing_is_known_of_a_pod() -> None:
    assert samples(100, slow=None).capacity is None


@pytest.mark.parametrize(
    "seconds", [5.0, 120.0, 300.0], ids=["each look", "intervalSeconds 120", "intervalSeconds 300"]
)
def test_growth_is_measured_over_the_reaction_time(seconds: float) -> None:
    learned, chance = Learned(), random.Random(1)  # noqa: S311 - the same loads each time
    for step in range(400):
        load = chance.choice((100.0, 140.0))  # what comes next is not to be expected
        learned = learn(learned, Sample(step * seconds, load, 10, 0.0), OBJECTIVE, REACTION + seconds)
    beyond = learned.volatility.beyond()
    assert beyond(math.log(1.1)) > 0.3
    assert beyond(math.log(1.5)) < 0.01


def test_a_load_that_swings_as_expected_needs_no_head_room() -> None:
    learned = Learned()
    for step in range(300):
        load = 100.0 if step % 12 < 6 else 140.0  # half a minute each, as long as the reaction takes
        learned = learn(learned, Sample(step * 5.0, load, 10, 0.0), OBJECTIVE, REACTION)
    assert learned.volatility.beyond()(math.log(1.15)) < 0.1
    assert learned.growth.expected(learned.recent[-1].beside) == pytest.approx(math.log(100 / 140), abs=0.1)


def test_what_is_kept_does_not_grow() -> None:
    assert len(samples(1000).recent) <= 60 / 5 + 2


def share(per_pod: float, capacity: float, steepness: float = 8.0) -> float:
    return min(0.05 * math.pow(per_pod / capacity, steepness), 1.0)


@pytest.mark.parametrize("steepness", [4.0, 8.0, 12.0])
def test_capacity_is_found_from_loads_well_below_it(steepness: float) -> None:
    capacity = known(20.0)
    for minute in range(600):
        load = 22 + 4 * math.sin(minute / 60)
        capacity = capacity.seen(Minute(20_000, load, share(load, 30, steepness)), LIMITS)
    assert 0.85 * 30 < capacity.per_pod < 1.1 * 30


def test_a_slower_release_is_noticed_within_minutes() -> None:
    capacity = known(20.0)
    for minute in range(900):
        load = 24 + 4 * math.sin(minute / 60)
        true = 30 if minute < 840 else 25
        capacity = capacity.seen(Minute(20_000, load, share(load, true), 0.8), LIMITS)
    assert capacity.per_pod < 27


def test_a_pod_is_not_trusted_with_much_more_than_it_has_carried() -> None:
    capacity = known(500.0)
    capacity = capacity.seen(Minute(100_000, 500.0, 0.0), LIMITS)
    assert capacity.per_pod == pytest.approx(500 * math.exp(0.25))


def test_of_changing_load_only_what_is_better_than_the_line_moves_it() -> None:
    before = known(20.0).seen(Minute(6_000, 20.0, 0.002), LIMITS)
    worse = before.seen(Minute(12_000, 22.0, 0.04, steady=False), LIMITS)
    better = before.seen(Minute(12_000, 24.0, 0.001, steady=False), LIMITS)
    assert (worse.line, worse.level) == (before.line, before.level)
    assert better.highest_well == pytest.approx(math.log(24))
    assert better.per_pod > before.per_pod


def test_a_quiet_night_does_not_make_pods_look_slower() -> None:
    busy = known(20.0)
    for minute in range(300):
        load = 22 + 4 * math.sin(minute / 30)
        busy = busy.seen(Minute(60 * 4 * load, load, share(load, 30)), LIMITS)
    night = busy
    for _ in range(600):
        night = night.seen(Minute(60.0, 0.5, 0.0), LIMITS)
    assert night.per_pod == pytest.approx(busy.per_pod, rel=0.05)


def test_overload_while_the_load_changes_teaches_nothing() -> None:
    assert known(20.0).seen(Minute(6_000, 40.0, 0.9, steady=False), LIMITS) == known(20.0)


def test_head_room_may_rely_on_what_pods_can_most_likely_carry() -> None:
    capacity = known(500.0).seen(Minute(100_000, 500.0, 0.0), LIMITS)
    assert math.exp(capacity.log_estimate) == pytest.approx(1000)


def test_an_idle_pod_is_trusted_with_what_one_request_at_a_time_allows() -> None:
    """M/M/1: 60 requests, none slow, half of ln(0.05 / (0.5 / 61)) / 0.25 s more than the 1/s of now."""
    idle = Capacity.first(Minute(60, 1.0, 0.0), LIMITS)
    assert idle.per_pod == pytest.approx(1 + 0.5 * math.log(0.05 * 61 / 0.5) / 0.25)


@pytest.mark.parametrize(
    ("slow", "per_pod"),
    [
        pytest.param(0.9, 40 * (0.05 / 0.9) ** (1 / 8), id="too much: less than it carries"),
        pytest.param(0.05, 40, id="just right"),
    ],
)
def test_the_first_minute_shows_what_a_pod_carries(slow: float, per_pod: float) -> None:
    assert Capacity.first(Minute(1_000_000, 40.0, slow, 0.8), LIMITS).per_pod == pytest.approx(per_pod, rel=1e-3)


@given(st.floats(0.01, 1e4), st.floats(0, 1), st.floats(1, 1e6), st.none() | st.floats(0.01, 1.1))
def test_what_is_trusted_is_never_more_than_what_is_likely(
    per_pod: float, slow: float, requests: float, utilisation: float | None
) -> None:
    capacity = Capacity.first(Minute(requests, per_pod, slow, utilisation), LIMITS)
    for _ in range(3):
        capacity = capacity.seen(Minute(requests, per_pod, slow, utilisation), LIMITS)
        assert 0 < capacity.per_pod <= math.exp(capacity.log_estimate) * (1 + 1e-9)


def test_a_long_pause_teaches_no_more_than_a_minute() -> None:
    before = samples(10, slow=0.2)
    after = learn(before, Sample(before.recent[-1].at + 36_000, 500, 10, 0.2), OBJECTIVE, REACTION)
    assert after.log_price - before.log_price == pytest.approx(0.995 * 60 * 0.1 / 15)
    assert after.volatility == before.volatility


def test_cpu_near_its_limit_caps_the_capacity_whatever_the_latency_says() -> None:
    capacity = known(20.0)
    for _ in range(100):
        capacity = capacity.seen(Minute(100_000, 20.0, 0.0, utilisation=0.8), LIMITS)
    assert capacity.per_pod == pytest.approx(20 * 0.85 / 0.8)


def test_overload_lowers_the_capacity_step_by_step_and_not_for_ever() -> None:
    capacity = known(20.0)
    numbers = []
    for _ in range(100):
        capacity = capacity.seen(Minute(10_000, 40.0, 0.9), LIMITS)
        numbers.append(capacity.per_pod)
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] > 20 * math.exp(-2.1 / 8)


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=50))
def test_the_tail_falls_from_all_growth_to_none(growths: list[float]) -> None:
    beyond = volatility(*growths, rounds=2).beyond()
    tail = [beyond(MOST_GROWTH * step / 50) for step in range(-60, 61)]
    assert all(0 <= share <= 1 for share in tail)
    assert tail == sorted(tail, reverse=True)
    assert tail[0] == 1


def test_old_growth_fades() -> None:
    jumpy = volatility(0.5, rounds=120)
    calm = jumpy
    for _ in range(900):
        calm = calm.seen(0.0, 60.0)
    assert jumpy.beyond()(0.4) > 0.9
    assert calm.beyond()(0.4) < 0.01


def test_two_pods_too_many_go_after_five_minutes() -> None:
    surplus, waited = Surplus(), 0
    number = 6
    while number == 6:
        number, surplus = delayed_scale_down(surplus, 4, 6, 5.0)
        waited += 5
    assert (number, waited) == (4, LEAST_IDLE_POD_SECONDS / 2)


@pytest.mark.parametrize(("startup", "idle"), [(5.0, 600.0), (30.0, 600.0), (60.0, 1200.0), (120.0, 2400.0)])
def test_pods_that_start_slowly_are_kept_longer(startup: float, idle: float) -> None:
    assert wait_of(startup).pod_seconds == idle


def test_only_what_was_not_wanted_meanwhile_is_removed() -> None:
    surplus, numbers = Surplus(), []
    for wanted in (2, 5, 2, 2):
        number, surplus = delayed_scale_down(surplus, wanted, 6, 50.0)
        numbers.append(number)
    assert numbers == [6, 6, 6, 5]


def test_pods_that_are_wanted_again_start_the_wait_anew() -> None:
    _, surplus = delayed_scale_down(Surplus(), 3, 6, 100.0)
    number, surplus = delayed_scale_down(surplus, 6, 6, 5.0)
    assert (number, surplus) == (6, Surplus())


def test_scaling_up_never_waits() -> None:
    assert delayed_scale_down(Surplus(500.0, 5), 9, 6, 5.0) == (9, Surplus())


def test_a_pod_with_half_the_cpu_is_taken_to_carry_half_as_much() -> None:
    capacity = known(20.0)
    for minute in range(60):
        load = 22 + 4 * math.sin(minute / 10)
        capacity = capacity.seen(Minute(20_000, load, share(load, 30), 0.7), LIMITS)
    half = capacity.resized(0.5)
    assert half.per_pod == pytest.approx(capacity.per_pod / 2)
    assert half.line.at(math.log(10)) == pytest.approx(capacity.line.at(math.log(20)))
    assert half.resized(2.0).per_pod == pytest.approx(capacity.per_pod)


def test_what_a_pod_carries_moves_with_its_cpu() -> None:
    sample = Sample(0.0, 100.0, 10, 0.001, 0.5, cores=1.0)
    learned = learn(learn(Learned(), sample, OBJECTIVE, REACTION), sample._replace(at=5.0), OBJECTIVE, REACTION)
    smaller = learn(learned, sample._replace(at=10.0, cores=0.25), OBJECTIVE, REACTION)
    assert learned.capacity is not None
    assert smaller.capacity is not None
    assert smaller.capacity.per_pod == pytest.approx(learned.capacity.per_pod / 4)
