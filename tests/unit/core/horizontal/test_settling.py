"""After a cut the metrics show for a while less load than there is: pods must not go for that."""

from dataclasses import replace
from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, record_scale, remember
from scalableapp.core.model import DataProblem, History, Observation, PodState, Reading
from tests.unit.core.build import CPU, NOW, QUEUE, QUEUE_VALUE, RPS, ago, app, free, observe, past, per_pod, pod, pods

AT_ONCE = free()
MEMORY = {"type": "Memory", "target": "50"}


def leaving(first: int, count: int, **changes: Any) -> tuple[PodState, ...]:
    return tuple(pod(first + number, **{"deleting": True, "ready": False} | changes) for number in range(count))


@pytest.mark.parametrize(
    ("metric", "target", "changes", "wanted"),
    [
        pytest.param(RPS, 50, {}, 8, id="requests of pods that are deleted"),
        pytest.param(RPS | {"aggregate": "Percentile", "percentile": 90}, 50, {}, 8, id="the hot pods' requests"),
        pytest.param(CPU, 0.3, {}, 8, id="CPU of pods that are deleted"),
        pytest.param(RPS, 50, {"deleting": False, "phase": "Failed"}, 8, id="requests of pods that were evicted"),
        pytest.param(MEMORY, 50, {}, 7, id="memory is nothing that others take over"),
    ],
)
def test_what_leaves_is_still_counted_on_the_way_down(
    metric: dict[str, str], target: float, changes: dict[str, Any], wanted: int
) -> None:
    running = (*pods(8), *leaving(8, 2, **changes))
    seen = replace(observe(current=8, pods=running), readings={metric["type"]: per_pod(*[0.8 * target] * 10)})
    decision = decide(app(metric, behavior=AT_ONCE), seen, History())
    assert decision.replicas_to == wanted


def test_the_message_says_what_the_leaving_pods_carry() -> None:
    seen = observe(current=8, pods=(*pods(8), *leaving(8, 1)), RequestsPerSecond=per_pod(*[40] * 8, 15.5))
    decision = decide(app(behavior=AT_ONCE), seen, History())
    assert "including 15.5 requests/s of terminating pods: needs 7 replicas" in decision.message


def test_what_leaves_never_asks_for_more_pods() -> None:
    seen = observe(current=2, pods=(*pods(2), *leaving(2, 1)), RequestsPerSecond=per_pod(40, 40, 900))
    assert decide(app(behavior=AT_ONCE), seen, History()).replicas_to == 2


@pytest.mark.parametrize(
    ("metric", "reading", "window"),
    [
        pytest.param(RPS, per_pod(*[20] * 8), 30, id="requests"),
        pytest.param(CPU, per_pod(*[0.1] * 8), 60, id="CPU"),
        pytest.param({"type": "Latency", "target": "0.25"}, Reading(0.1), 60, id="latency"),
        pytest.param(QUEUE_VALUE, Reading(4), 60, id="a query that is multiplied by the pods"),
    ],
)
def test_no_cut_within_one_rate_window_of_the_last(metric: dict[str, str], reading: Reading, window: int) -> None:
    spec = app(metric, behavior=AT_ONCE)
    seen = replace(observe(current=8), readings={metric.get("name", metric["type"]): reading})
    early, late = (decide(spec, seen, past(scaled={age: -2})) for age in (window - 1, window))
    assert (early.replicas_to, early.reason, early.limited) == (8, Reason.LOAD_SETTLING, True)
    assert late.replicas_to < 8


def test_where_scrapes_are_rare_the_wait_is_as_long_as_the_window_measured_over() -> None:
    rare = replace(per_pod(*[20] * 8), window_seconds=240.0)
    seen = replace(observe(current=8), readings={"RequestsPerSecond": rare})
    early, late = (decide(app(behavior=AT_ONCE), seen, past(scaled={age: -2})) for age in (239, 240))
    assert (early.replicas_to, late.replicas_to) == (8, 4)


def test_a_sum_that_is_shared_out_needs_no_such_wait() -> None:
    seen = observe(current=8, queue=Reading(total=40))
    assert decide(app(QUEUE, behavior=AT_ONCE), seen, past(scaled={5: -2})).replicas_to == 4


@pytest.mark.parametrize(
    ("since", "wanted"), [pytest.param(29, 8, id="just now"), pytest.param(30, 4, id="a window ago")]
)
def test_pods_that_others_removed_count_as_a_cut(since: float, wanted: int) -> None:
    running = (*pods(8), *leaving(8, 2, left_at=ago(since)))
    seen = observe(current=8, pods=running, RequestsPerSecond=per_pod(*[20] * 8))
    assert decide(app(behavior=AT_ONCE), seen, History()).replicas_to == wanted


def test_more_pods_are_never_held_up_by_it() -> None:
    seen = observe(current=8, RequestsPerSecond=100)
    assert decide(app(behavior=AT_ONCE), seen, past(scaled={1: -2})).replicas_to == 16


@pytest.mark.parametrize("window", [0, 30, 300])
@pytest.mark.parametrize("stays", [0, 30], ids=["gone at once", "deleting for 30 s"])
def test_a_fall_of_the_load_never_leads_below_what_it_needs(window: int, stays: int) -> None:
    """2000 -> 800 requests/s at 50 a pod: 16 pods. Those that stay show the new load 30 s later."""
    spec = app(behavior=free(down={"stabilizationWindowSeconds": window}))
    replicas, shown, history = 40, 20.0, past(recommended={1: 40})
    changed_at: int = -1000
    gone: list[tuple[int, int]] = []  # when, how many
    for second in range(0, 900, 5):
        if second - changed_at >= 30:
            shown = 800 / replicas
        here = sum(count for at, count in gone if second - at < stays)
        seen = replace(_seen(replicas, here, shown), now=ago(-second))
        decision = decide(spec, seen, history)
        history = remember(history, decision, spec)
        if decision.changes:
            history = record_scale(history, seen.now, decision.replicas_to - replicas, spec)
            gone.append((second, replicas - decision.replicas_to))
            replicas, changed_at = decision.replicas_to, second
        assert replicas >= 16
    assert replicas == 16


def _seen(replicas: int, here: int, shown: float) -> Observation:
    running = (*pods(replicas), *leaving(replicas, here))
    return replace(observe(current=replicas, pods=running, RequestsPerSecond=per_pod(*[shown] * len(running))), now=NOW)


IDLE = observe(current=8, pods=pods(8), RequestsPerSecond=per_pod(*[20] * 8))
BUSY = observe(current=8, pods=pods(8), RequestsPerSecond=per_pod(*[100] * 8))


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        pytest.param(replace(IDLE, outdated=True), 8, id="no pod goes by a reading of before the last change"),
        pytest.param(replace(BUSY, outdated=True), 16, id="but pods are added by it"),
        pytest.param(replace(IDLE, spent=True), 8, id="a reading takes pods away once"),
        pytest.param(replace(BUSY, spent=True), 8, id="and adds them once"),
        pytest.param(replace(IDLE, watched_since=ago(10)), 8, id="the operator has just started"),
        pytest.param(replace(IDLE, watched_since=ago(31)), 4, id="it has looked for one rate window"),
        pytest.param(replace(BUSY, watched_since=ago(0)), 16, id="pods are added at once"),
    ],
)
def test_a_reading_is_judged_by_when_it_began(seen: Observation, wanted: int) -> None:
    decision = decide(app(behavior=AT_ONCE, maxReplicas=100), seen, History())
    assert decision.replicas_to == wanted
    if wanted == seen.replicas:
        assert decision.reason == Reason.LOAD_SETTLING


def test_pods_that_are_not_known_hold_the_way_down_and_are_told_once_that_lasts() -> None:
    rules, seen = app(behavior=AT_ONCE), replace(IDLE, unseen=3, unseen_since=ago(5))
    decision = decide(rules, seen, History())
    assert (decision.replicas_to, decision.reason, decision.data_problem) == (8, DataProblem.PARTIAL, None)
    assert "3 of 8 replicas differ between the Deployment and the pods that the operator knows" in decision.message
    lasting = decide(rules, replace(seen, unseen_since=ago(11)), History())
    assert lasting.data_problem is DataProblem.PARTIAL
    assert lasting.outage is None
    assert decide(app(maxReplicas=100), replace(BUSY, unseen=3), History()).replicas_to == 16
