"""The way down after pods have left, with scrapes that are far apart, missed, or ended."""

from dataclasses import replace
from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import DataProblem, History, Observation, PodState, Reading
from tests.unit.core.build import CPU, QUEUE_VALUE, RPS, ago, app, free, observe, past, per_pod, pod, pods

LATENCY = {"type": "Latency", "target": "0.25"}
AT_ONCE = free()
LONG = 120.0  # of scrapes every 30 s


def leaving(first: int, count: int) -> tuple[PodState, ...]:
    """Pods that have just turned unready, as they do when they are deleted."""
    return tuple(pod(first + n, deleting=True, ready=False, readiness_changed_at=ago(1)) for n in range(count))


def seen(
    reading: Reading, running: tuple[PodState, ...], current: int, metric: str = "RequestsPerSecond"
) -> Observation:
    return replace(observe(current=current, pods=running), readings={metric: reading})


@pytest.mark.parametrize(
    ("window", "cut_ago", "to"),
    [
        pytest.param(None, 20, 4, id="30 s at the least"),
        pytest.param(None, 40, 2, id="30 s have passed"),
        pytest.param(LONG, 40, 4, id="scrapes of 30 s: not yet"),
        pytest.param(LONG, 130, 2, id="scrapes of 30 s: two minutes have passed"),
    ],
)
def test_no_cut_within_one_window_of_the_last_one(window: float | None, cut_ago: float, to: int) -> None:
    reading = replace(per_pod(25, 25, 25, 25), window_seconds=window)
    decision = decide(app(behavior=AT_ONCE), observe(current=4, RequestsPerSecond=reading), past(scaled={cut_ago: -2}))
    assert decision.replicas_to == to


@pytest.mark.parametrize(
    ("metric", "reading"),
    [
        pytest.param(RPS, per_pod(*[20] * 8), id="requests"),
        pytest.param(CPU, per_pod(*[0.1] * 8), id="CPU"),
        pytest.param(LATENCY, Reading(0.1, pods=frozenset(f"pod-{n}" for n in range(8))), id="latency"),
    ],
)
@pytest.mark.parametrize("by", ["us", "others"])
def test_whoever_removed_the_pods_the_window_is_the_measured_one(
    metric: dict[str, Any], reading: Reading, by: str
) -> None:
    dated = replace(reading, window_seconds=240.0)
    for age, held in ((239, True), (240, False)):
        gone = tuple(replace(it, left_at=ago(age)) for it in leaving(8, 2)) if by == "others" else ()
        history = past(scaled={age: -2}) if by == "us" else History()
        decision = decide(app(metric, behavior=AT_ONCE), seen(dated, (*pods(8), *gone), 8, metric["type"]), history)
        assert (decision.reason == Reason.LOAD_SETTLING) == held
        assert (decision.replicas_to == 8) == held


def test_the_longest_window_of_several_metrics_counts() -> None:
    readings = {"RequestsPerSecond": per_pod(*[20] * 8), "CPU": replace(per_pod(*[0.1] * 8), window_seconds=LONG)}
    moment = replace(observe(current=8), readings=readings)
    assert decide(app(RPS, CPU, behavior=AT_ONCE), moment, past(scaled={100: -2})).replicas_to == 8


def test_a_node_s_clock_that_is_ahead_by_seconds_hides_no_pod_that_left() -> None:
    gone = tuple(replace(it, left_at=ago(-2)) for it in leaving(8, 2))
    assert decide(app(behavior=AT_ONCE), seen(per_pod(*[20] * 8), (*pods(8), *gone), 8), History()).replicas_to == 8


@pytest.mark.parametrize("overdue", [False, True], ids=["scraped to the end", "scrapes have ended"])
def test_pods_that_leave_count_with_what_they_carried_and_not_as_on_target(overdue: bool) -> None:
    reading = replace(per_pod(*[20] * 8, 5, 5), window_seconds=LONG)
    if overdue:
        reading = replace(reading, overdue=frozenset({"pod-8", "pod-9"}))
    decision = decide(app(behavior=AT_ONCE), seen(reading, (*pods(8), *leaving(8, 2)), 8), History())
    assert decision.replicas_to == 4  # (8 x 20 + 2 x 5) / 50
    assert "counted as on target" not in decision.message


def test_idle_pods_that_leave_do_not_make_values_too_low_where_more_pods_are_asked_for() -> None:
    reading = replace(per_pod(95, 95, 0, 0, 0), overdue=frozenset({"pod-2"}))
    decision = decide(app(behavior=AT_ONCE), seen(reading, (*pods(3), *leaving(3, 2)), 3), History())
    assert decision.replicas_to == 4  # 190 / 50, and not 240 / 50


def test_busy_pods_that_leave_do_not_let_missed_scrapes_pass_for_idle_pods() -> None:
    reading = replace(per_pod(50, 50, 5, 5, 160), overdue=frozenset({"pod-2", "pod-3"}))
    assert decide(app(behavior=AT_ONCE), seen(reading, (*pods(4), *leaving(4, 1)), 4), History()).replicas_to == 4


@pytest.mark.parametrize(
    ("ready_for", "to"), [pytest.param(60, 10, id="younger than the window"), pytest.param(130, 2, id="a window later")]
)
def test_after_a_rollout_new_pods_are_not_taken_for_idle(ready_for: float, to: int) -> None:
    """The rates of all are still rising; what the old ones carried is falling."""
    new = tuple(pod(n, started_at=ago(ready_for + 10), readiness_changed_at=ago(ready_for)) for n in range(10))
    reading = replace(per_pod(*[10] * 10), window_seconds=LONG)
    assert decide(app(behavior=AT_ONCE), seen(reading, new, 10), History()).replicas_to == to


@pytest.mark.parametrize(
    ("reading", "to"),
    [
        pytest.param(replace(per_pod(*[120] * 10), window_seconds=LONG), 24, id="rare scrapes"),
        pytest.param(
            replace(per_pod(*[120] * 8, 5, 5), overdue=frozenset({"pod-8", "pod-9"})), 20, id="two pods' scrapes missed"
        ),
        pytest.param(replace(per_pod(*[5] * 10), overdue=frozenset({"pod-0"})), 10, id="too low by missed scrapes"),
        pytest.param(Reading(problem=DataProblem.DUPLICATE, message="two addresses"), 10, id="doubled"),
        pytest.param(Reading(problem=DataProblem.TOO_RARE, message="every 120 s"), 10, id="too rare"),
        pytest.param(Reading(awaited="scraped once"), 10, id="to be waited for"),
    ],
)
def test_during_a_rollout_bad_data_neither_adds_nor_takes_pods(reading: Reading, to: int) -> None:
    moment = replace(seen(reading, pods(10), 10), rollout=True)
    assert decide(app(behavior=AT_ONCE), moment, History()).replicas_to == to


def test_a_rollout_s_decision_says_when_its_numbers_were_measured() -> None:
    reading = replace(per_pod(*[120] * 10), window_seconds=LONG, newest_at=ago(35))
    decision = decide(app(behavior=AT_ONCE), replace(seen(reading, pods(10), 10), rollout=True), History())
    assert "(as of 12:06:00 UTC over 2 m)" in decision.message


def test_the_surge_of_a_change_of_size_is_not_more_pods_than_there_are() -> None:
    both = pods(12)
    reading = Reading(0.2, pods=frozenset(it.name for it in both))
    moment = replace(seen(reading, both, 10, "Latency"), rollout=True, resizing=True)
    assert "on 10 ready pods" in decide(app(LATENCY, behavior=AT_ONCE), moment, History()).message


@pytest.mark.parametrize(("metric", "value", "to"), [(RPS, 20, 4), (RPS, 100, 20), (CPU, 0.1, 4), (CPU, 0.6, 20)])
def test_a_clock_that_was_put_back_makes_no_pod_young(metric: dict[str, str], value: float, to: int) -> None:
    ahead = tuple(pod(n, started_at=ago(-3000), readiness_changed_at=ago(-2990)) for n in range(10))
    reading = replace(per_pod(*[value] * 10), window_seconds=LONG)
    assert decide(app(metric, behavior=AT_ONCE), seen(reading, ahead, 10, metric["type"]), History()).replicas_to == to


def test_a_query_of_the_whole_app_waits_a_minute() -> None:
    moment = replace(observe(current=8), readings={"queue": Reading(4)})
    decided = [decide(app(QUEUE_VALUE, behavior=AT_ONCE), moment, past(scaled={age: -2})) for age in (59, 60)]
    assert [decision.replicas_to < 8 for decision in decided] == [False, True]
