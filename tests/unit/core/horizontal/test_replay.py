"""The past, replayed, leaves the operator as if it had been there all the time."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.horizontal.decide import decide, first_seen, remember
from scalableapp.core.horizontal.history import longest_window_seconds
from scalableapp.core.horizontal.prediction import rejoined
from scalableapp.core.horizontal.replay import (
    Moment,
    PodsMoment,
    kinds_of,
    past_recommendations,
    replay_history,
    with_past_recommendations,
)
from scalableapp.core.learning.buckets import Buckets
from scalableapp.core.learning.forecast import LoadHistory, Sample, learn, replay
from scalableapp.core.model import History, Reading, Recommendation, ServiceLevel, Startups
from tests.unit.core.build import CPU, NOW, QUEUE, RPS, ago, app, observe, per_pod

RATE = MetricType.REQUESTS_PER_SECOND


def curve(hours: float, step: float = 15.0, phase: float = 0.0) -> list[Sample]:
    """A daily wave with some unrest."""
    seconds = [index * step for index in range(int(hours * 3600 / step))]
    start = NOW - timedelta(hours=hours)
    return [
        Sample(start + timedelta(seconds=at), 100 + 50 * math.sin(at / 13_751 + phase) + 7 * math.sin(at / 61))
        for at in seconds
    ]


def learned(samples: Sequence[Sample], horizon: float = 45.0) -> LoadHistory:
    return reduce(lambda history, sample: learn(history, sample, horizon), samples, LoadHistory())


@pytest.mark.parametrize("hours", [0.0, 0.02, 0.5, 1.2, 3.0, 26.0])
def test_loads_that_are_replayed_leave_what_loads_seen_live_have_left(hours: float) -> None:
    samples = curve(hours)
    live, replayed = learned(samples), replay(samples, 45.0)
    assert (replayed.recent, replayed.pending, replayed.errors) == (live.recent, live.pending, live.errors)
    assert (replayed.verdict, replayed.forecast) == (live.verdict, live.forecast)
    assert same_buckets(replayed.buckets, live.buckets)


def test_what_was_seen_since_the_past_was_asked_for_is_not_lost() -> None:
    samples = curve(3.0)
    live = learned(samples[-8:])  # the operator has started two minutes ago
    past = replay(samples[:-4], 45.0)  # and asked a minute ago
    whole = learned(samples)
    found = rejoined(past, live, Startups((30.0,)))
    assert (found.recent, found.errors, found.verdict) == (whole.recent, whole.errors, whole.verdict)


def same_buckets(one: Buckets, other: Buckets) -> bool:
    return (one.first, one.number, one.count) == (other.first, other.number, other.count) and all(
        math.isclose(a, b) or (math.isnan(a) and math.isnan(b))
        for a, b in zip((*one.means, one.total), (*other.means, other.total), strict=True)
    )


@given(st.lists(st.tuples(st.integers(0, 4000), st.floats(0, 1e6)), max_size=30))
def test_buckets_in_one_go_are_those_one_by_one(steps: list[tuple[int, float]]) -> None:
    samples, at = [], ago(0)
    for gap, load in steps:
        at += timedelta(seconds=gap)
        samples.append((at, load))
    one_by_one = reduce(lambda buckets, sample: buckets.add(*sample), samples, Buckets())
    assert same_buckets(Buckets.of(samples), one_by_one)


def ticks(loads: Sequence[float], pods: int, step: float = 15.0) -> list[PodsMoment]:
    """Moments up to now, at which `pods` pods share each of these loads."""
    return [
        PodsMoment(ago(step * (len(loads) - 1 - index)), {RATE: dict(per_pod(*[load / pods] * pods).per_pod)})
        for index, load in enumerate(loads)
    ]


LOADS = [*[400.0] * 8, *[300.0] * 6, *[460.0] * 3, *[200.0] * 8]


def test_recommendations_of_the_past_are_those_that_were_made_live() -> None:
    spec, history, made = app(), History(), []
    for moment in ticks(LOADS, 9):
        seen = replace(observe(current=9, RequestsPerSecond=per_pod(*moment.values[RATE].values())), now=moment.at)
        decision = decide(spec, seen, history)
        history = remember(history, decision, spec)
        made.append(decision.recommendation)
    assert list(past_recommendations(spec, ticks(LOADS, 9))) == made
    assert {entry.replicas for entry in made if entry} == {8, 6, 9, 4}


def test_a_restart_without_status_changes_no_decision_once_the_past_is_replayed() -> None:
    """Nine replicas, 4 wanted since two minutes, 9 three minutes ago: held then and now until the same moment."""
    spec, moments = app(), ticks(LOADS, 9)
    live = History()
    for entry in past_recommendations(spec, moments):
        live = replace(live, recommendations=(*live.recommendations, entry))
    now = observe(current=9, RequestsPerSecond=200 / 9)
    started = ago(4)
    anew = first_seen(replace(now, now=started))
    window = longest_window_seconds(spec.scaling.horizontal.behavior)
    replayed = with_past_recommendations(anew, started, past_recommendations(spec, moments), window)
    assert decide(spec, now, replayed) == decide(spec, now, live)
    assert decide(spec, now, anew).message != decide(spec, now, live).message  # without the past it would wait longer


@pytest.mark.parametrize(
    "past",
    [
        pytest.param([], id="nothing"),
        pytest.param(ticks([200.0] * 10, 9), id="not far enough back"),
        pytest.param([*ticks([200.0] * 25, 9)[:10], *ticks([200.0] * 25, 9)[16:]], id="a hole"),
        pytest.param(ticks([200.0] * 25, 9)[:-5], id="not up to the start"),
    ],
)
def test_a_past_that_does_not_cover_the_window_leaves_the_guess(past: list[PodsMoment]) -> None:
    history = History((Recommendation(ago(10), 9),))
    assert with_past_recommendations(history, ago(10), past_recommendations(app(), past), 300) is history


def test_what_was_recommended_since_the_start_is_kept() -> None:
    guess, later = Recommendation(ago(20), 9), Recommendation(ago(0), 12)
    past = past_recommendations(app(), ticks([200.0] * 25, 9)[:-1])
    found = with_past_recommendations(History((guess, later)), ago(20), past, 300)
    assert found.recommendations == (*past, later)


@pytest.mark.parametrize(
    ("metrics", "kinds"),
    [
        ((RPS, CPU), {MetricType.REQUESTS_PER_SECOND, MetricType.CPU}),
        ((RPS, QUEUE), None),
        ((RPS, {"type": "Latency", "target": "250ms"}), None),
    ],
    ids=["per pod", "a query of one's own", "a latency"],
)
def test_only_metrics_per_pod_have_a_past_that_can_be_replayed(
    metrics: tuple[dict[str, str], ...], kinds: set[MetricType] | None
) -> None:
    assert kinds_of(app(*metrics)) == kinds


OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.25}}


def test_an_app_with_an_objective_has_no_past_recommendations() -> None:
    assert kinds_of(app(objective=OBJECTIVE)) is None


def test_what_an_objective_has_taught_is_taught_again() -> None:
    spec, history = app(CPU, objective=OBJECTIVE), History()
    moments = [Moment(ago(15.0 * (230 - n)), 100 + 40 * math.sin(n / 30), 5, 0.004) for n in range(231)]
    for moment in moments:
        level = ServiceLevel(Reading(moment.load), Reading(moment.slow_share))
        seen = replace(observe(current=5), now=moment.at, service_level=level)
        history = remember(history, decide(spec, seen, history), spec)
    lived = replay_history(spec, moments, history.startups)
    assert lived.learned == history.learned
    assert lived.learned.capacity
    assert lived.surplus == history.surplus
    assert lived.startups == history.startups


def test_moments_of_which_the_pods_are_not_known_teach_no_objective() -> None:
    assert replay_history(app(objective=OBJECTIVE), [Moment(ago(60), 100.0)], Startups((9.0,))) == History(
        startups=Startups((9.0,))
    )


def test_moments_without_usable_data_recommend_nothing() -> None:
    assert past_recommendations(app(), [PodsMoment(_at(), {}), PodsMoment(_at(), {RATE: {"pod-0": math.nan}})]) == ()


def _at() -> datetime:
    return ago(30)
