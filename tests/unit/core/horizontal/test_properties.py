"""What must hold for every app, every load and every past."""

import math
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal.decide import decide, record_scale, remember
from scalableapp.core.model import DataProblem, History, Observation, PodState, Reading, Recommendation, ScaleEvent
from tests.unit.core.build import CPU, QUEUE, RPS, ago, app, free, observe
from tests.unit.core.hpa import pods_metric

loads = st.floats(0, 10_000, allow_nan=False)
anything = st.floats(allow_nan=True, allow_infinity=True)
seconds = st.floats(0, 4000)
phases = st.sampled_from(["Running", "Running", "Running", "Pending", "Failed", "Succeeded", "Unknown"])


@st.composite
def pod_lists(draw: st.DrawFn, phase: st.SearchStrategy[str] = phases) -> tuple[PodState, ...]:
    return tuple(
        PodState(
            name=f"pod-{number}",
            phase=draw(phase),
            ready=draw(st.booleans()),
            deleting=draw(st.integers(0, 9)) == 0,
            started_at=ago(draw(seconds)),
            readiness_changed_at=draw(st.none() | seconds.map(ago)),
        )
        for number in range(draw(st.integers(0, 8)))
    )


@st.composite
def readings(draw: st.DrawFn, value: st.SearchStrategy[float] = anything) -> Reading:
    return Reading(
        total=draw(st.none() | value),
        per_pod=draw(st.dictionaries(st.sampled_from([f"pod-{number}" for number in range(9)]), value, max_size=9)),
        problem=draw(st.none() | st.none() | st.sampled_from(DataProblem)),
    )


@st.composite
def observations(draw: st.DrawFn, value: st.SearchStrategy[float] = anything) -> Observation:
    seen = {name: draw(readings(value)) for name in ("RequestsPerSecond", "CPU", "queue") if draw(st.integers(0, 5))}
    found = observe(current=draw(st.integers(0, 60)), pods=draw(pod_lists()), rollout=draw(st.integers(0, 9)) == 0)
    return replace(found, readings=seen)


@st.composite
def histories(draw: st.DrawFn) -> History:
    wishes = draw(st.lists(st.tuples(seconds, st.integers(0, 80)), max_size=8))
    changes = draw(st.lists(st.tuples(seconds, st.integers(-20, 20)), max_size=8))
    return History(
        tuple(Recommendation(ago(age), replicas) for age, replicas in sorted(wishes, reverse=True)),
        tuple(ScaleEvent(ago(age), change) for age, change in sorted(changes, reverse=True)),
    )


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    policy = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Pods", "Percent"]),
            "value": st.integers(1, 200),
            "periodSeconds": st.integers(1, 1800),
        }
    )
    return {
        "stabilizationWindowSeconds": draw(st.integers(0, 3600)),
        "selectPolicy": draw(st.sampled_from(["Max", "Min", "Disabled"])),
        "policies": draw(st.lists(policy, min_size=1, max_size=3)),
        "tolerance": draw(st.sampled_from(["0", "0.05", "0.1", "0.5"])),
    }


@st.composite
def apps(draw: st.DrawFn, most: int | None = None) -> ScalableAppSpec:
    least = 1 if most else draw(st.integers(1, 10))
    return app(
        RPS,
        CPU,
        QUEUE | {"targetType": draw(st.sampled_from(["Value", "AverageValue"]))},
        minReplicas=least,
        maxReplicas=most or least + draw(st.integers(0, 40)),
        behavior={"scaleUp": draw(policies()), "scaleDown": draw(policies())},
    )


@given(apps(), observations(), histories())
def test_a_decision_lies_within_the_bounds_or_holds(
    spec: ScalableAppSpec, observation: Observation, history: History
) -> None:
    decision = decide(spec, observation, history)
    horizontal = spec.scaling.horizontal
    assert horizontal.min_replicas <= decision.replicas_to <= horizontal.max_replicas
    assert decision.steps[-1].value == decision.replicas_to
    assert decision.replicas_from == observation.replicas
    assert decision.message
    assert decision.reason


@given(apps(), observations(), histories())
def test_the_same_arguments_give_the_same_decision(
    spec: ScalableAppSpec, observation: Observation, history: History
) -> None:
    assert decide(spec, observation, history) == decide(spec, observation, history)


@given(apps(), observations(), histories(), st.booleans(), st.none() | st.integers(0, 50))
def test_a_dry_run_or_a_pause_never_changes_anything(
    spec: ScalableAppSpec, observation: Observation, history: History, paused: bool, pin: int | None
) -> None:
    scaling = spec.scaling.model_copy(update={"dry_run": not paused, "paused": paused})
    still = spec.model_copy(update={"scaling": scaling, "replicas": pin})
    assert not decide(still, observation, history).changes


@given(apps(most=1000), observations(loads), histories(), st.sampled_from(DataProblem))
def test_a_failing_metric_never_lets_replicas_fall(
    spec: ScalableAppSpec, observation: Observation, history: History, problem: DataProblem
) -> None:
    broken = replace(observation, readings={**observation.readings, "queue": Reading(problem=problem)})
    assert decide(spec, broken, history).replicas_to >= observation.replicas


@given(st.integers(1, 40), st.floats(0.9, 1.1), st.floats(0.9, 1.1), histories())
def test_within_the_tolerance_nothing_changes(current: int, requests: float, cores: float, history: History) -> None:
    seen = observe(current=current, RequestsPerSecond=50 * requests, CPU=0.3 * cores)
    assert not decide(app(RPS, CPU), seen, history).changes


@given(apps(), st.integers(1, 60), loads, loads, histories())
def test_more_load_never_means_fewer_replicas(
    spec: ScalableAppSpec, current: int, one: float, other: float, history: History
) -> None:
    low, high = sorted((one, other))
    few, many = (
        decide(spec, observe(current=current, RequestsPerSecond=load, CPU=0.1, queue=Reading(total=5)), history)
        for load in (low, high)
    )
    assert few.replicas_to <= many.replicas_to


@given(st.integers(1, 60), loads, histories(), st.integers(0, 3600))
def test_the_number_never_falls_below_the_highest_recommendation_in_the_window(
    current: int, load: float, history: History, window: int
) -> None:
    spec = app(behavior=free(down={"stabilizationWindowSeconds": window}))
    decision = decide(spec, observe(current=current, RequestsPerSecond=load), history)
    recent = [entry.replicas for entry in history.recommendations if entry.at > ago(window)]
    assert decision.replicas_to >= min(current, max(recent, default=0))


@given(st.integers(1, 60), st.lists(loads, min_size=1, max_size=12))
def test_a_policy_of_pods_holds_over_every_period(current: int, ticks: list[float]) -> None:
    limit = {"policies": [{"type": "Pods", "value": 3, "periodSeconds": 60}]}
    spec, history, walk = app(behavior=free(limit, limit), maxReplicas=1000), History(), [current]
    for number, load in enumerate(ticks):
        seen = replace(observe(current=walk[-1], RequestsPerSecond=load), now=ago(-15 * number))
        decision = decide(spec, seen, history)
        history = remember(history, decision, spec)
        if decision.changes:
            history = record_scale(history, seen.now, decision.replicas_to - walk[-1], spec)
        period_start = walk[max(0, number - 3)]  # a change 60 s ago lies before the period
        if decision.replicas_to > walk[-1]:
            assert decision.replicas_to <= period_start + 3
        if decision.replicas_to < walk[-1]:
            assert decision.replicas_to >= period_start - 3
        walk.append(decision.replicas_to)


@given(
    pod_lists(st.sampled_from(["Running", "Running", "Pending", "Failed"])),
    st.integers(1, 30),
    st.dictionaries(st.sampled_from([f"pod-{number}" for number in range(8)]), st.integers(0, 400), min_size=1),
)
def test_requests_per_pod_are_decided_as_hpa_does(
    pods: tuple[PodState, ...], current: int, values: dict[str, int]
) -> None:
    settled = tuple(replace(pod, ready=True, readiness_changed_at=ago(1)) for pod in pods)
    seen = observe(current=current, pods=settled, RequestsPerSecond=Reading(per_pod=values))
    decision = decide(app(behavior=free(), maxReplicas=1000), seen, History())
    # A pending pod with a value has started, and only the watch has not told: HPA would leave out its load.
    started = tuple(
        replace(pod, phase="Running") if pod.phase == "Pending" and pod.name in values else pod for pod in settled
    )
    expected = pods_metric(started, values, 50, current)
    leaving = sum(values.get(pod.name, 0) for pod in settled if pod.deleting or pod.phase == "Failed")
    serving = any(pod.phase == "Running" and not pod.deleting for pod in settled)
    if expected is None or (expected < current and not serving):
        assert decision.replicas_to == current
    elif expected < current and leaving:  # HPA forgets at once what pods that leave still carry
        assert max(1, expected) <= decision.replicas_to <= current
    else:
        assert decision.replicas_to == max(1, expected)


@given(st.floats(0, 10_000), st.integers(1, 50))
def test_average_value_is_the_total_over_the_target(total: float, current: int) -> None:
    decision = decide(
        app(QUEUE, behavior=free(), maxReplicas=1000), observe(current=current, queue=Reading(total=total)), History()
    )
    ratio = round(total / 10 / current, 9)
    expected = current if 0.9 <= ratio <= 1.1 else math.ceil(round(total / 10, 9))
    assert decision.replicas_to == max(1, expected)
