"""A rollout holds every way down; what is counted for the whole app may add pods meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import Decision, History, Observation, Reading
from tests.unit.core.build import CPU, QUEUE, QUEUE_VALUE, RPS, ago, app, free, observe, past, per_pod, pod, pods

LATENCY = {"type": "Latency", "target": "0.25"}
MEMORY = {"type": "Memory", "target": "50"}
BURST = {"windowSeconds": 15}


def rolling(current: int, new: int = 0, **readings: Reading) -> Observation:
    """An app in a rollout: its old pods serve, `new` ones start."""
    starting = tuple(pod(current + n, ready=False, started_at=ago(20), readiness_changed_at=None) for n in range(new))
    seen = observe(current=current, pods=(*pods(current), *starting), rollout=True)
    return replace(seen, readings=readings)


def decided(seen: Observation, *metrics: dict[str, Any], history: History | None = None, **horizontal: Any) -> Decision:
    return decide(app(*metrics, **{"behavior": free(), **horizontal}), seen, history or History())


@pytest.mark.parametrize(
    ("metric", "reading", "wanted"),
    [
        pytest.param(RPS, per_pod(*[120] * 10), 24, id="requests, at 240 % of the target with a bad image"),
        pytest.param(QUEUE, Reading(total=240), 24, id="a query that is shared out"),
        pytest.param(QUEUE_VALUE, Reading(total=24), 24, id="a query of the whole app"),
        pytest.param(RPS, per_pod(*[56] * 10), 12, id="requests over the target by a bit, with new pods without any"),
        pytest.param(RPS, per_pod(*[54] * 10), 10, id="requests within the tolerance"),
        pytest.param(RPS, per_pod(*[10] * 10), 10, id="requests under the target"),
        pytest.param(QUEUE, Reading(total=10), 10, id="a query under the target"),
        pytest.param(CPU, per_pod(*[0.9] * 10), 10, id="CPU"),
        pytest.param(MEMORY, per_pod(*[150] * 10), 10, id="memory"),
        pytest.param(LATENCY, Reading(total=2.5), 10, id="latency"),
        pytest.param(
            RPS | {"aggregate": "Percentile", "percentile": 100}, per_pod(*[120] * 10), 10, id="the hottest pod"
        ),
    ],
)
def test_what_is_counted_for_the_whole_app_may_add_pods(metric: dict[str, Any], reading: Reading, wanted: int) -> None:
    label = metric.get("name", metric["type"])
    decision = decided(rolling(10, new=3, **{label: reading}), metric)
    assert decision.replicas_to == wanted
    if wanted == 10:
        assert (decision.reason, decision.active) == (Reason.ROLLOUT_IN_PROGRESS, False)
        assert decision.recommendation is None
    else:
        assert decision.active


@pytest.mark.parametrize(
    ("metric", "reading", "wanted"),
    [
        pytest.param(CPU, per_pod(*[0.9] * 10), 30, id="CPU of old and new pods in sum"),
        pytest.param(CPU, per_pod(*[0.01] * 10), 10, id="no pod is removed"),
        pytest.param(MEMORY, per_pod(*[150] * 10), 10, id="each pod has its memory, however many there are"),
        pytest.param(
            CPU | {"aggregate": "Percentile", "percentile": 100}, per_pod(*[0.9] * 10), 10, id="the hottest pod"
        ),
    ],
)
def test_with_up_only_cpu_adds_pods_too(metric: dict[str, Any], reading: Reading, wanted: int) -> None:
    seen = replace(rolling(10, new=3, **{metric["type"]: reading}), up_only=True)
    assert decided(seen, metric).replicas_to == wanted


def test_pods_are_added_at_the_pace_of_the_policies_and_within_the_bounds() -> None:
    seen = rolling(10, RequestsPerSecond=per_pod(*[120] * 10))
    slow = {"scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]}}
    assert decided(seen, behavior=slow).replicas_to == 14
    assert decided(seen, behavior=slow, history=past(scaled={30: 4})).replicas_to == 10
    assert decided(seen, maxReplicas=12).replicas_to == 12


def test_the_surge_of_a_rollout_is_not_multiplied_by_a_query_of_the_whole_app() -> None:
    both = (*pods(10), *(pod(10 + n) for n in range(10)))  # twice as many serve meanwhile
    seen = replace(observe(current=10, pods=both, rollout=True), readings={"queue": Reading(total=15)})
    assert decided(seen, QUEUE_VALUE).replicas_to == 15


def test_old_pods_that_leave_and_new_ones_are_one_load() -> None:
    old = tuple(pod(n, deleting=True, ready=False) for n in range(10))
    new = tuple(pod(10 + n) for n in range(10))
    values = per_pod(*[60] * 10, *[40] * 10)
    seen = replace(observe(current=10, pods=(*old, *new), rollout=True), readings={"RequestsPerSecond": values})
    assert decided(seen).replicas_to == 20


def test_metrics_that_say_nothing_do_not_stand_in_the_way_of_those_that_do() -> None:
    seen = rolling(10, RequestsPerSecond=per_pod(*[120] * 10), CPU=per_pod(*[0.01] * 10))
    assert decided(seen, RPS, CPU).replicas_to == 24
    assert decided(seen, RPS, CPU, combine="Min").replicas_to == 10  # CPU does not agree
    assert decided(seen, RPS, CPU, combine="Weighted").replicas_to == 17


def test_a_burst_is_answered_during_a_rollout() -> None:
    seen = rolling(10, RequestsPerSecond=replace(per_pod(*[50] * 10), burst_total=1500.0))
    assert decided(seen, burst=BURST).replicas_to == 30


def test_an_app_does_not_go_to_0_during_a_rollout() -> None:
    queue = QUEUE | {"activationTarget": "1"}
    assert decided(rolling(2, queue=Reading(total=0)), queue, minReplicas=0).replicas_to == 2


def test_a_rollout_of_another_size_is_no_rollout_of_another_template() -> None:
    seen = replace(rolling(10, RequestsPerSecond=per_pod(*[10] * 10)), resizing=True)
    assert decided(seen).replicas_to == 2
