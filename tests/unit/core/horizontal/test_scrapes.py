"""Scrapes: the windows that follow from them, and what values mean that are too new, too old, or of a part."""

from dataclasses import replace
from datetime import timedelta

import pytest

from scalableapp.core.api.metrics import Metric
from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.horizontal.proposals import Proposal, Tolerance, propose
from scalableapp.core.learning.scrapes import Scrape, fits, too_rare, window_for
from scalableapp.core.model import DataProblem, History, PodState, Reading
from tests.unit.core.build import NOW, RPS, ago, app, free, observe, per_pod, pod, pods

LATENCY = {"type": "Latency", "target": "100ms"}


@pytest.mark.parametrize(
    ("interval", "window"),
    [
        pytest.param(None, 30, id="not known"),
        pytest.param(1, 30, id="at least 30 s"),
        pytest.param(5, 30, id="5 s"),
        pytest.param(10, 40, id="10 s"),
        pytest.param(15, 60, id="15 s"),
        pytest.param(15.8, 60, id="15 s, one of 20 missed"),
        pytest.param(20, 80, id="20 s"),
        pytest.param(30, 120, id="30 s"),
        pytest.param(31.6, 120, id="30 s, late"),
        pytest.param(60, 240, id="60 s"),
        pytest.param(300, 240, id="far beyond"),
    ],
)
def test_a_window_holds_four_scrapes(interval: float | None, window: float) -> None:
    assert window_for(interval, 30) == window
    assert window_for(interval, 60) == max(60, window)


def test_60_s_are_not_too_rare_and_two_minutes_are() -> None:
    assert [too_rare(seconds) for seconds in (5, 60, 66, 90, 120)] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("interval", "window", "fit"), [(5, 10, True), (15, 20, False), (10, 20, True), (None, 10, True), (30, 60, True)]
)
def test_a_short_window_needs_two_scrapes(interval: float | None, window: float, fit: bool) -> None:
    assert fits(interval, window) == fit


@pytest.mark.parametrize(
    ("scrape", "overdue"),
    [
        pytest.param(Scrape(30, 31), False, id="fresh"),
        pytest.param(Scrape(30, 60), False, id="one missed"),
        pytest.param(Scrape(30, 76), True, id="two missed"),
        pytest.param(Scrape(30, None, gone=True), True, id="target gone"),
        pytest.param(Scrape(30, None), False, id="age not known"),
        pytest.param(Scrape(None, 80), True, id="old, interval not known"),
        pytest.param(Scrape(None, 40), False, id="interval not known"),
    ],
)
def test_a_sample_is_overdue_when_scrapes_were_missed(scrape: Scrape, overdue: bool) -> None:
    assert scrape.overdue == overdue


def asked(reading: Reading, running: tuple[PodState, ...], metric: dict[str, str] = RPS) -> Proposal:
    observation = replace(observe(current=len(running), pods=running), readings={metric["type"]: reading})
    return propose(Metric.model_validate(metric), observation, Tolerance(0.9, 1.1))


def test_pods_whose_scrapes_were_missed_are_not_taken_for_idle() -> None:
    reading = per_pod(50, 50, 5, 5)
    assert asked(reading, pods(4)).replicas == 3
    proposal = asked(replace(reading, overdue=frozenset({"pod-2", "pod-3"})), pods(4))
    assert proposal.replicas == 4
    assert "2 pods with too few or too old samples counted as at least on target" in proposal.message


def test_too_low_values_ask_for_more_all_the_same() -> None:
    reading = replace(per_pod(200, 200, 60), overdue=frozenset({"pod-2"}))
    assert asked(reading, pods(3)).replicas == 10


def test_what_is_assumed_of_young_pods_adds_none_while_an_old_one_still_shows_what_they_took_over() -> None:
    """Three pods for 145: the first one's rate is still that of the time when it was alone."""
    young = tuple(pod(number, started_at=ago(20), readiness_changed_at=ago(10)) for number in (1, 2))
    proposal = asked(replace(per_pod(95, 25, 25), window_seconds=30), (*pods(1), *young))
    assert proposal.replicas == 3
    assert "is 48.3 requests/s per pod" in proposal.message


def test_pods_younger_than_the_window_of_their_rate_are_not_taken_for_idle() -> None:
    young = tuple(pod(number, started_at=ago(70), readiness_changed_at=ago(60)) for number in (2, 3))
    reading = per_pod(50, 50, 5, 5)
    assert asked(replace(reading, window_seconds=30), (*pods(2), *young)).replicas == 3
    assert asked(replace(reading, window_seconds=120), (*pods(2), *young)).replicas == 4


def test_new_pods_may_wait_for_two_scrapes() -> None:
    new = tuple(pod(number, started_at=ago(60), readiness_changed_at=ago(50)) for number in (1, 2, 3))
    partial = asked(per_pod(100, None, None, None), (pod(0), *new))
    assert partial.failure is not None
    assert partial.failure.problem is DataProblem.PARTIAL
    waited_for = asked(replace(per_pod(100, None, None, None), window_seconds=120), (pod(0), *new))
    assert waited_for.failure is None


def test_a_rate_that_has_to_be_waited_for_is_no_bad_data() -> None:
    proposal = asked(Reading(awaited="scraped once"), pods(2))
    assert proposal.failure is not None
    assert (proposal.failure.reason, proposal.failure.problem) == (Reason.AWAITING_SAMPLES, None)


def test_cpu_s_start_lasts_as_long_as_the_window_of_its_rate() -> None:
    cpu = {"type": "CPU", "target": "300m"}
    started = tuple(pod(number, started_at=ago(100), readiness_changed_at=ago(90)) for number in (1, 2))
    reading = per_pod(0.3, 2, 2)
    assert asked(replace(reading, window_seconds=60), (pod(0), *started), cpu).replicas == 15
    assert asked(replace(reading, window_seconds=240), (pod(0), *started), cpu).replicas == 3


@pytest.mark.parametrize(
    ("measured", "seconds", "replicas"),
    [
        pytest.param(4, 0.05, 2, id="all"),
        pytest.param(2, 0.05, 3, id="half, the others counted as on target"),
        pytest.param(1, 0.05, None, id="one of four cannot take a pod away"),
        pytest.param(1, 0.2, 8, id="one of four may ask for more"),
    ],
)
def test_a_latency_of_some_pods(measured: int, seconds: float, replicas: int | None) -> None:
    names = frozenset(f"pod-{number}" for number in range(measured))
    proposal = asked(Reading(seconds, pods=names), pods(4), LATENCY)
    assert proposal.replicas == replicas
    if replicas is None:
        assert proposal.failure is not None
        assert proposal.failure.problem is DataProblem.PARTIAL
    else:
        assert ("of 4 ready pods" in proposal.message) == (measured < 4)


def test_numbers_are_dated_and_say_of_how_many_pods_they_are() -> None:
    at = NOW - timedelta(seconds=35)
    reading = replace(per_pod(60, 60, None), window_seconds=120, newest_at=at)
    assert asked(reading, pods(3)).message == (
        "RequestsPerSecond is 60 requests/s per pod on 2 of 3 pods (as of 12:06:00 UTC over 2 m), 80 % of the target "
        "50, 1 pod without a sample counted as idle: keeps 3 replicas"
    )
    of_all = asked(Reading(0.2, newest_at=at), pods(3), LATENCY).message
    assert "on 3 ready pods (as of 12:06:00 UTC)" in of_all


def test_a_burst_says_where_scrapes_are_too_rare_for_it() -> None:
    reading = Reading(
        total=150, burst_total=0.0, burst_note="a scrape interval of 30 s is too long for a window of 10 s"
    )
    spec = app(behavior=free(), burst={})
    decision = decide(spec, observe(current=3, RequestsPerSecond=reading), History())
    assert decision.replicas_to == 3
    assert "burst is not used: a scrape interval of 30 s is too long for a window of 10 s" in decision.message
