from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import DataProblem, History, Reading, Step
from tests.unit.core.build import CPU, NOW, QUEUE, RPS, app, free, observe, past


def test_an_unlimited_change_is_explained_by_its_metric() -> None:
    decision = decide(app(), observe(RequestsPerSecond=80), History())
    message = "RequestsPerSecond is 80 requests/s per pod on 3 pods, 160 % of the target 50: needs 5 replicas"
    assert (decision.replicas_from, decision.replicas_to, decision.at) == (3, 5, NOW)
    assert (decision.reason, decision.message) == (Reason.DESIRED_WITHIN_RANGE, message)
    assert decision.steps == (Step("RequestsPerSecond", 5, message),)
    assert (decision.active, decision.limited, decision.data_problem) == (True, False, None)


def test_the_chain_shows_what_each_rule_made_of_the_number() -> None:
    spec = app(RPS, CPU, maxReplicas=20)
    decision = decide(spec, observe(RequestsPerSecond=500, CPU=0.1), History())
    assert [(step.rule, step.value) for step in decision.steps] == [
        ("CPU", 1),
        ("RequestsPerSecond", 30),
        ("Bounds", 20),
        ("Rate", 7),
    ]
    assert (decision.replicas_to, decision.reason, decision.limited) == (7, Reason.SCALE_UP_LIMIT, True)
    assert decision.message == (
        "RequestsPerSecond is 500 requests/s per pod on 3 pods, 1000 % of the target 50: needs 30 replicas; "
        "limited to 20 by maxReplicas; behavior.scaleUp limits it to 7 until 12:06:50 UTC (4 pods per 15 s)"
    )


@pytest.mark.parametrize(
    ("load", "to", "reason"),
    [
        pytest.param(900, 6, Reason.TOO_MANY_REPLICAS, id="max"),
        pytest.param(0, 2, Reason.TOO_FEW_REPLICAS, id="min"),
    ],
)
def test_the_metrics_stay_within_the_bounds(load: float, to: int, reason: Reason) -> None:
    spec = app(minReplicas=2, maxReplicas=6, behavior=free())
    decision = decide(spec, observe(RequestsPerSecond=load), History())
    assert (decision.replicas_to, decision.reason, decision.limited) == (to, reason, True)


def test_the_recommendation_is_what_the_metrics_asked_for_before_any_limit() -> None:
    decision = decide(app(maxReplicas=6), observe(RequestsPerSecond=500), History())
    assert decision.recommendation is not None
    assert (decision.recommendation.at, decision.recommendation.replicas) == (NOW, 30)


def test_a_dry_run_computes_everything_and_changes_nothing() -> None:
    decision = decide(app(dryRun=True), observe(RequestsPerSecond=80), History())
    assert (decision.replicas_to, decision.reason, decision.changes) == (3, Reason.DRY_RUN, False)
    assert decision.message.startswith("would scale 3 -> 5: RequestsPerSecond is 80 requests/s per pod on 3 pods")
    assert decision.steps[-1] == Step("DryRun", 3, "would scale 3 -> 5, but spec.scaling.dryRun is set")
    assert decision.recommendation is not None


@pytest.mark.parametrize(
    ("spec", "seen", "reason"),
    [
        pytest.param({}, {}, Reason.DESIRED_WITHIN_RANGE, id="nothing to change"),
        pytest.param({"paused": True}, {"RequestsPerSecond": 500}, Reason.PAUSED, id="paused"),
        pytest.param(
            {}, {"RequestsPerSecond": Reading(problem=DataProblem.STALE)}, DataProblem.STALE, id="held by bad data"
        ),
    ],
)
def test_a_dry_run_that_would_change_nothing_keeps_the_reason_why(
    spec: dict[str, Any], seen: dict[str, Any], reason: str
) -> None:
    decision = decide(app(dryRun=True, **spec), observe(**{"RequestsPerSecond": 50} | seen), History())
    assert (decision.replicas_to, decision.reason) == (3, reason)


def test_a_dry_run_reports_a_pin_and_bounds_too() -> None:
    pinned = decide(app(dryRun=True, replicas=5), observe(RequestsPerSecond=50), History())
    beyond = decide(app(dryRun=True, maxReplicas=2), observe(RequestsPerSecond=50), History())
    assert pinned.message.startswith("would scale 3 -> 5: spec.replicas sets 5 replicas")
    assert beyond.message.startswith("would scale 3 -> 2: 3 replicas are above maxReplicas 2: scales down to 2")
    assert {pinned.replicas_to, beyond.replicas_to} == {3}


def test_without_metrics_the_cpu_request_gives_the_target() -> None:
    spec = app(metrics=[])
    decision = decide(spec, observe(CPU=0.16), History())
    assert (decision.metrics[0].target, decision.replicas_to) == ("80m", 6)


def test_the_message_of_a_scale_down_names_the_winner_of_several_metrics() -> None:
    decision = decide(app(RPS, QUEUE, behavior=free()), observe(RequestsPerSecond=20, queue=Reading(total=5)), past())
    assert decision.replicas_to == 2
    assert decision.message.startswith("RequestsPerSecond is 20 requests/s")
    assert [step.rule for step in decision.steps] == ["queue", "RequestsPerSecond"]
