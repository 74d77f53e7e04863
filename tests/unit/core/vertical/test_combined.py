"""Replicas and size in one decision."""

from dataclasses import replace
from typing import Any

import pytest

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.model import Decision, History, Recommendation, ScaleEvent
from scalableapp.core.vertical.combined import decide_both
from scalableapp.core.vertical.usage import SizeHistory, Usage
from tests.unit.core.build import NOW, ago, free, observe
from tests.unit.core.sizes import MI, Loop, known, size, sized_app, usage_now

CALM = History(recommendations=(Recommendation(ago(0), 1),))


def decided(
    spec: ScalableAppSpec,
    *,
    current: int = 4,
    rps: float = 200,
    cpu: float = 0.72,
    seen: Usage | None = None,
    sizes: SizeHistory | None = None,
    **observed: Any,
) -> Decision:
    """A decision for 4 pods on target, each of which fits its size, but for what a test states."""
    memory = sizes or known(spec.scaling.vertical, cpu, 220 * MI)
    observation = replace(observe(current=current, RequestsPerSecond=rps / current), **observed)
    return decide_both(spec, observation, CALM, seen or usage_now(), memory)[0]


def app(**fields: Any) -> ScalableAppSpec:
    return sized_app("Combined", behavior=free(), **fields)


def sizing_changes(decision: Decision) -> bool:
    return decision.sizing is not None and decision.sizing.changes


def test_on_target_and_fitting_nothing_changes() -> None:
    decision = decided(app())
    assert not decision.changes
    assert not sizing_changes(decision)


def test_replicas_move_first() -> None:
    decision = decided(app(), rps=300, cpu=4.0)
    assert decision.replicas_to == 6
    assert not sizing_changes(decision)
    assert "replicas change from 4 to 6 first" in decision.message


def test_at_the_most_replicas_and_saturated_pods_grow() -> None:
    decision = decided(app(maxReplicas=4), rps=800, cpu=3.2)
    assert decision.replicas_to == 4
    assert decision.sizing
    assert decision.sizing.raises


def test_at_the_fewest_replicas_and_idle_pods_shrink() -> None:
    decision = decided(app(minReplicas=4), rps=4, cpu=0.1)
    assert decision.replicas_to == 4
    assert decision.sizing
    assert decision.sizing.cuts


def test_replicas_that_wait_to_be_cut_keep_the_size() -> None:
    spec = sized_app("Combined")
    history = History(recommendations=(Recommendation(ago(100), 4),))
    observation = observe(current=4, RequestsPerSecond=1)
    decision, _ = decide_both(spec, observation, history, usage_now(), known(spec.scaling.vertical, 0.1, 220 * MI))
    assert decision.reason == "ScaleDownStabilized"
    assert not sizing_changes(decision)


def test_both_may_raise_at_once() -> None:
    decision = decided(app(), rps=300, seen=usage_now(oom_kills=1))
    assert decision.replicas_to == 6
    assert decision.sizing
    assert decision.sizing.raises
    assert not decision.sizing.cuts


@pytest.mark.parametrize(("age", "shrinks"), [(60, False), (121, True)])
def test_a_size_is_cut_only_when_replicas_have_rested(age: float, shrinks: bool) -> None:
    spec = app(minReplicas=4)
    sizes = replace(known(spec.scaling.vertical, 0.1, 220 * MI), scaled=ScaleEvent(ago(age), 1))
    assert sizing_changes(decided(spec, rps=4, sizes=sizes)) is shrinks


@pytest.mark.parametrize(("rps", "replicas"), [(60, 4), (300, 6)], ids=["fewer wait", "more do not"])
def test_after_a_change_of_size_only_a_cut_of_replicas_waits(rps: float, replicas: int) -> None:
    spec = app()
    sizes = replace(known(spec.scaling.vertical, 0.72, 220 * MI), changed_at=ago(30))
    assert decided(spec, rps=rps, sizes=sizes).replicas_to == replicas


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"paused": True}, "Paused"), ({"dryRun": True}, "DryRun")],
    ids=["paused", "dry run"],
)
def test_a_pause_and_a_dry_run_change_no_size(fields: dict[str, bool], reason: str) -> None:
    spec = sized_app("Vertical")
    scaling = spec.scaling.model_copy(update={"paused": "paused" in fields, "dry_run": "dryRun" in fields})
    decision = decided(spec.model_copy(update={"scaling": scaling}), cpu=4.0)
    assert not sizing_changes(decision)
    assert decision.reason == reason
    assert decision.sizing
    assert decision.sizing.recommended != size()


def test_another_autoscaler_keeps_hands_off() -> None:
    spec = sized_app("Vertical")
    observation = replace(observe(current=4, RequestsPerSecond=1), conflict="VerticalPodAutoscaler v scales it, too")
    decision, _ = decide_both(spec, observation, CALM, usage_now(), known(spec.scaling.vertical, 8.0, 220 * MI))
    assert not sizing_changes(decision)
    assert decision.reason == "Conflicted"


@pytest.mark.parametrize(("current", "pin", "expected"), [(3, None, 3), (0, None, 1), (12, None, 10), (3, 5, 5)])
def test_in_mode_vertical_replicas_stay_within_the_bounds(current: int, pin: int | None, expected: int) -> None:
    spec = sized_app("Vertical").model_copy(update={"replicas": pin})
    observation = observe(current=current, RequestsPerSecond=900)
    decision, _ = decide_both(spec, observation, CALM, usage_now(), SizeHistory.blank(spec.scaling.vertical))
    assert decision.replicas_to == expected


def test_the_cost_is_reported_before_and_after() -> None:
    spec = app(maxReplicas=4)
    prices = {"cpuCoreHour": "0.04", "memoryGibibyteHour": "0.005"}
    scaling = type(spec.scaling).model_validate({**spec.scaling.model_dump(by_alias=True), "prices": prices})
    decision = decided(spec.model_copy(update={"scaling": scaling}), rps=800, cpu=1.6)
    step = decision.steps[-1]
    assert step.rule == "Cost"
    assert step.message == "total requests: cpu 800m -> 1880m, memory 1Gi -> 1Gi; +0.0432 per hour"


def test_a_load_beyond_the_most_replicas_is_answered_by_both_and_given_back() -> None:
    loop = Loop(sized_app("Combined", maxReplicas=4))
    loop.run(50, 900).run(800, 1800)
    assert loop.replicas == 4
    assert (loop.size.cpu.request or 0) >= 2.01 * 1.15
    assert loop.tick(800).sizing
    loop.run(10, 4 * 3600)
    assert loop.replicas == 1
    assert (loop.size.cpu.request or 0) < 0.3
    assert loop.decisions[-1].at > NOW


@pytest.mark.parametrize(("rps", "replicas"), [(60, 4), (300, 6)], ids=["fewer wait", "more do not"])
def test_while_pods_get_another_size_only_a_cut_of_replicas_waits(rps: float, replicas: int) -> None:
    seen = replace(usage_now(), busy="a change is under way")
    decision = decided(app(), rps=rps, seen=seen, rollout=True, resizing=True)
    assert decision.replicas_to == replicas
    assert not sizing_changes(decision)
