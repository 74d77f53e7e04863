from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, remember
from scalableapp.core.model import DataProblem, Decision, History, PodState, Reading, Startups
from tests.unit.core.build import RPS, ago, app, free, observe, past, per_pod, pod, pods


def burst(requests: float, current: int = 3, load: float = 150, **changes: Any) -> Decision:
    """The decision at 50 requests/s a replica: `load` in the long window, `requests` in the short one."""
    running: tuple[PodState, ...] = changes.pop("pods", pods(current))
    history = changes.pop("history", History())
    reading = Reading(total=load, burst_total=requests)
    spec = app(**{"behavior": free(), "burst": {}, **changes})
    return decide(spec, observe(current=current, pods=running, RequestsPerSecond=reading), history)


@pytest.mark.parametrize(
    ("requests", "to", "reason"),
    [
        pytest.param(224, 3, Reason.DESIRED_WITHIN_RANGE, id="under the threshold"),
        pytest.param(225, 5, Reason.BURST, id="at the threshold"),
        pytest.param(1000, 20, Reason.BURST, id="far over it"),
        pytest.param(0, 3, Reason.DESIRED_WITHIN_RANGE, id="a lull"),
        pytest.param(float("nan"), 3, Reason.DESIRED_WITHIN_RANGE, id="NaN"),
        pytest.param(float("inf"), 3, Reason.DESIRED_WITHIN_RANGE, id="infinite"),
        pytest.param(-1, 3, Reason.DESIRED_WITHIN_RANGE, id="negative"),
    ],
)
def test_the_short_window_decides_from_the_threshold_on(requests: float, to: int, reason: Reason) -> None:
    decision = burst(requests)
    assert (decision.replicas_to, decision.reason) == (to, reason)


def test_a_burst_is_reported_with_its_figures() -> None:
    starting = pod(3, ready=False, started_at=ago(5), readiness_changed_at=ago(5))
    message = burst(450, current=4, pods=(*pods(3), starting), load=200).message
    assert message.endswith(
        "burst: 450 requests/s in the last 10 s, 225 % of the target of 4 replicas (1 starting): needs 9 replicas"
    )


def test_without_burst_in_the_spec_the_short_window_has_no_say() -> None:
    assert burst(1000, burst=None).replicas_to == 3


def starting(seconds: float, **changes: Any) -> PodState:
    return pod(3, **{"ready": False, "started_at": ago(seconds), "readiness_changed_at": ago(seconds), **changes})


# 290 requests/s are 5.8 replicas: a burst for 3 that serve, none for 4 that will
@pytest.mark.parametrize(
    ("fourth", "samples", "to"),
    [
        pytest.param(starting(5), (), 4, id="a starting pod carries its part"),
        pytest.param(starting(5, phase="Pending"), (), 4, id="so does a pending one"),
        pytest.param(None, (), 4, id="so does one that is not even created"),
        pytest.param(starting(119), (), 4, id="nobody knows yet how long a start takes"),
        pytest.param(starting(120), (), 6, id="stuck"),
        pytest.param(starting(15), (8.0,), 4, id="starting, as measured"),
        pytest.param(starting(16), (8.0,), 6, id="stuck, as measured"),
        pytest.param(starting(5, created_at=ago(300)), (8.0,), 6, id="stuck since it was created"),
    ],
)
def test_pods_on_their_way_are_no_missing_capacity(
    fourth: PodState | None, samples: tuple[float, ...], to: int
) -> None:
    there = (*pods(3), fourth) if fourth else pods(3)
    names = (known.name for known in pods(3))  # else their own starts would be measured
    history = History(startups=Startups(samples, frozenset(names)))
    assert burst(290, current=4, pods=there, load=200, history=history).replicas_to == to


@pytest.mark.parametrize(
    ("requests", "to"),
    [
        pytest.param(90, 2, id="the short window needs less"),
        pytest.param(190, 4, id="more than the long one: stops there"),
        pytest.param(330, 6, id="more than there are: stays"),
    ],
)
def test_no_scale_down_below_what_the_short_window_needs(requests: float, to: int) -> None:
    decision = burst(requests, current=6, load=100)
    assert decision.replicas_to == to
    assert (decision.reason == Reason.BURST) == (to > 2)


def test_a_burst_is_remembered_so_that_the_scale_down_window_holds_it() -> None:
    decision = burst(1000)
    assert decision.recommendation
    assert decision.recommendation.replicas == 20
    calm = app(burst={})
    history = remember(History(), decision, calm)
    later = replace(observe(current=20, RequestsPerSecond=Reading(total=150)), now=ago(-60))
    assert decide(calm, later, history).reason == Reason.SCALE_DOWN_STABILIZED


def test_a_burst_passes_the_scale_up_window_but_not_the_policies_and_the_bounds() -> None:
    slow = {"stabilizationWindowSeconds": 600, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]}
    decision = burst(1000, behavior=free(up=slow), history=past({100: 3}), maxReplicas=15)
    assert decision.replicas_to == 7
    assert [step.rule for step in decision.steps] == ["RequestsPerSecond", "Burst", "Bounds", "Rate"]


def test_a_refused_scale_down_does_not_keep_a_burst_from_being_met() -> None:
    cpu = {"type": "CPU", "target": "300m"}
    seen = observe(
        RequestsPerSecond=replace(per_pod(10, 10, 10), burst_total=900), CPU=Reading(problem=DataProblem.EMPTY)
    )
    assert decide(app(RPS, cpu, burst={}, behavior=free()), seen, History()).replicas_to == 18


@given(st.integers(1, 40), st.floats(0, 5000), st.floats(0, 5000), st.integers(0, 20))
def test_the_short_window_never_takes_replicas_away(
    current: int, load: float, requests: float, recommended: int
) -> None:
    history = past({30: recommended}) if recommended else History()
    with_burst = burst(requests, current=current, load=load, history=history)
    without = burst(requests, current=current, load=load, history=history, burst=None)
    assert with_burst.replicas_to >= without.replicas_to


@given(st.integers(1, 40), st.floats(0, 5000), st.floats(0, 5000), st.floats(0, 5000))
def test_more_in_the_short_window_never_means_fewer_replicas(
    current: int, load: float, one: float, other: float
) -> None:
    few, many = sorted((one, other))
    assert burst(few, current=current, load=load).replicas_to <= burst(many, current=current, load=load).replicas_to
