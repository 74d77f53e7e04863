"""What must hold with every rule beyond HPA's switched on, for every load and every past."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.core.horizontal.decide import decide, remember
from scalableapp.core.model import DataProblem, History, Observation, Outage, Reading, Startups
from tests.unit.core.build import CPU, NOW, QUEUE, RPS, ago, app
from tests.unit.core.horizontal.test_properties import anything, histories, loads, observations, policies, seconds

NIGHT = {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *", "timezone": "Asia/Tokyo", "maxReplicas": 30}
RUSH = {"name": "rush", "start": "*/7 * * * *", "end": "5-59/7 * * * *", "minReplicas": 12, "maxReplicas": 35}


@st.composite
def rich_apps(draw: st.DrawFn, *, least: int | None = None, slow_bounds: bool = False) -> ScalableAppSpec:
    combine = draw(st.sampled_from(["Max", "Min", "Weighted"]))
    weight: dict[str, Any] = {"weight": draw(st.sampled_from(["1", "0.5", "3"]))} if combine == "Weighted" else {}
    hot = draw(st.sampled_from([{}, {"aggregate": "Percentile", "percentile": 90}]))
    behavior = {"scaleUp": draw(policies()), "scaleDown": draw(policies()), "appliesToBounds": slow_bounds}
    fallback = draw(st.sampled_from([{}, {"behavior": "CurrentIfHigher", "replicas": 9, "afterSeconds": 100}]))
    return app(
        RPS | weight | hot,
        CPU | hot,
        QUEUE | {"activationTarget": draw(st.sampled_from(["0", "5"]))},
        minReplicas=draw(st.integers(0, 10)) if least is None else least,
        maxReplicas=40,
        combine=combine,
        behavior=behavior,
        schedules=draw(st.sampled_from([[], [NIGHT], [NIGHT, RUSH]])),
        burst=draw(st.sampled_from([None, {}, {"threshold": "1.1"}])),
        fallback=fallback,
    )


@st.composite
def rich_observations(draw: st.DrawFn, value: st.SearchStrategy[float] = anything) -> Observation:
    seen = draw(observations(value))
    short = replace(seen.readings.get("RequestsPerSecond", Reading()), burst_total=draw(st.none() | value))
    moment = NOW + timedelta(seconds=draw(st.integers(0, 86400)))
    return replace(seen, readings={**seen.readings, "RequestsPerSecond": short}, now=moment)


@st.composite
def rich_histories(draw: st.DrawFn) -> History:
    outage = draw(st.none() | st.builds(Outage, seconds.map(ago), st.integers(0, 40)))
    startups = Startups(tuple(draw(st.lists(st.floats(0, 600), max_size=3))))
    return replace(draw(histories()), outage=outage, startups=startups)


@given(rich_apps(), rich_observations(), rich_histories())
def test_a_decision_lies_within_the_bounds_in_force(
    spec: ScalableAppSpec, observation: Observation, history: History
) -> None:
    decision = decide(spec, observation, history)
    least, most = bounds_at(spec.scaling.horizontal, observation.now)
    assert least.value <= decision.replicas_to <= most.value
    assert decision.steps[-1].value == decision.replicas_to
    assert decision.message
    assert decision == decide(spec, observation, history)


@given(rich_apps(slow_bounds=True), rich_observations(), rich_histories())
def test_with_slow_bounds_a_decision_lies_within_them_or_comes_nearer(
    spec: ScalableAppSpec, observation: Observation, history: History
) -> None:
    current, to = observation.replicas, decide(spec, observation, history).replicas_to
    least, most = bounds_at(spec.scaling.horizontal, observation.now)
    assert min(current, least.value) <= to <= max(current, most.value)
    if current < least.value:
        assert current <= to <= least.value
    if current > most.value:
        assert most.value <= to <= current


@given(rich_apps(), rich_observations(loads), rich_histories(), st.sampled_from(DataProblem))
def test_a_failing_metric_never_lets_replicas_fall_within_the_bounds(
    spec: ScalableAppSpec, observation: Observation, history: History, problem: DataProblem
) -> None:
    broken = replace(observation, readings={**observation.readings, "CPU": Reading(problem=problem)})
    most = bounds_at(spec.scaling.horizontal, observation.now).most.value
    assert decide(spec, broken, history).replicas_to >= min(observation.replicas, most)


@given(rich_apps(least=1), rich_observations(loads))
def test_an_app_with_a_floor_never_goes_to_0(spec: ScalableAppSpec, observation: Observation) -> None:
    assert decide(spec, observation, History()).replicas_to >= 1


@given(rich_apps(), rich_observations(), rich_histories())
def test_remembering_twice_changes_nothing_more(
    spec: ScalableAppSpec, observation: Observation, history: History
) -> None:
    decision = decide(spec, observation, history)
    once = remember(history, decision, spec)
    assert remember(once, replace(decision, recommendation=None), spec) is once
