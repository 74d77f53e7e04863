from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import DataProblem, Decision, History, Reading
from tests.unit.core.build import QUEUE, RPS, app, observe

DOWN = Reading(problem=DataProblem.UNREACHABLE, message="Prometheus does not answer")


@pytest.mark.parametrize(
    ("spec", "seen", "to", "reason"),
    [
        pytest.param({"paused": True}, {}, 3, Reason.PAUSED, id="paused"),
        pytest.param({"paused": True, "maxReplicas": 2}, {}, 3, Reason.PAUSED, id="paused outside the bounds"),
        pytest.param({"paused": True, "replicas": 5}, {}, 3, Reason.PAUSED, id="paused and pinned"),
        pytest.param({}, {"conflict": "an HPA"}, 3, Reason.CONFLICTED, id="conflict"),
        pytest.param({"replicas": 5}, {"conflict": "an HPA"}, 3, Reason.CONFLICTED, id="conflict and pinned"),
        pytest.param({"replicas": 5}, {}, 5, Reason.PINNED, id="pinned"),
        pytest.param({"replicas": 0}, {}, 0, Reason.PINNED, id="pinned to 0"),
        pytest.param({"replicas": 8, "maxReplicas": 4}, {}, 8, Reason.PINNED, id="pinned outside the bounds"),
        pytest.param({"replicas": 3}, {}, 3, Reason.PINNED, id="pinned to what there is"),
        pytest.param({}, {"rollout": True, "RequestsPerSecond": 5}, 3, Reason.ROLLOUT_IN_PROGRESS, id="rollout"),
        pytest.param({}, {"RequestsPerSecond": DOWN}, 3, "PrometheusUnreachable", id="no data"),
    ],
)
def test_a_guard_decides_before_the_metrics_do(
    spec: dict[str, Any], seen: dict[str, Any], to: int, reason: str
) -> None:
    decision = decide(app(**spec), observe(**{"RequestsPerSecond": 500} | seen), History())
    assert (decision.replicas_to, decision.reason) == (to, reason)
    assert not decision.active
    assert not decision.limited
    assert decision.recommendation is None


@pytest.mark.parametrize(
    "seen", [{}, {"rollout": True}, {"RequestsPerSecond": DOWN}], ids=["fine", "rollout", "no data"]
)
@pytest.mark.parametrize(
    ("current", "to", "reason"),
    [
        pytest.param(9, 6, Reason.TOO_MANY_REPLICAS, id="too many"),
        pytest.param(1, 2, Reason.TOO_FEW_REPLICAS, id="too few"),
        pytest.param(0, 2, Reason.TOO_FEW_REPLICAS, id="scaled to 0 by hand"),
    ],
)
def test_bounds_are_restored_at_once_whatever_the_metrics_say(
    current: int, to: int, reason: Reason, seen: dict[str, Any]
) -> None:
    slow = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    spec = app(minReplicas=2, maxReplicas=6, behavior={"scaleUp": slow, "scaleDown": slow})
    decision = decide(spec, observe(current=current, **{"RequestsPerSecond": 50} | seen), History())
    assert (decision.replicas_to, decision.reason, decision.limited) == (to, reason, True)


def two(first: object, second: object, current: int = 3) -> Decision:
    return decide(app(RPS, QUEUE), observe(current=current, RequestsPerSecond=first, queue=second), History())


def test_the_largest_proposal_wins() -> None:
    decision = two(100, Reading(total=40))
    assert decision.replicas_to == 6
    assert [report.proposed_replicas for report in decision.metrics] == [6, 4]


def test_a_failing_metric_refuses_a_scale_down_and_says_why() -> None:
    decision = two(10, DOWN)
    assert (decision.replicas_to, decision.reason, decision.active) == (3, "PrometheusUnreachable", True)
    assert decision.message == "scale-down to 1 blocked: queue cannot be used: Prometheus does not answer"
    assert decision.recommendation is None


def test_a_failing_metric_lets_the_others_scale_up() -> None:
    decision = two(100, DOWN)
    assert (decision.replicas_to, decision.reason) == (6, Reason.DESIRED_WITHIN_RANGE)
    assert (decision.data_problem, decision.data_message) == (
        DataProblem.UNREACHABLE,
        "queue cannot be used: Prometheus does not answer",
    )


def test_all_metrics_failing_is_a_hold_with_the_reason_of_the_bad_data() -> None:
    # RequestsPerSecond only has to be waited for: that is not what the person on call must hear of
    decision = two(Reading(problem=DataProblem.EMPTY), DOWN)
    assert (decision.replicas_to, decision.active) == (3, False)
    assert decision.reason == "NoData"
    starting = decide(app(RPS, QUEUE), observe(pods=(), queue=DOWN, RequestsPerSecond=Reading()), History())
    assert starting.reason == "PrometheusUnreachable"


def test_a_pin_still_reports_the_metrics() -> None:
    decision = decide(app(replicas=2), observe(RequestsPerSecond=DOWN), History())
    assert decision.data_problem is DataProblem.UNREACHABLE
    assert decision.metrics[0].current == "<unknown>"
