from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import DataProblem, Decision, History, Reading
from tests.unit.core.build import CPU, QUEUE, RPS, app, free, observe, past

ACTIVATED = QUEUE | {"activationTarget": "5"}
DOWN = Reading(problem=DataProblem.UNREACHABLE, message="Prometheus does not answer")


def worker(current: int, *metrics: dict[str, Any], history: History | None = None, **readings: Any) -> Decision:
    least = readings.pop("least", 0)
    behavior = readings.pop("behavior", free())
    seen: dict[str, Any] = {
        name: value if isinstance(value, Reading) else Reading(total=value) for name, value in readings.items()
    }
    spec = app(*(metrics or (ACTIVATED,)), minReplicas=least, behavior=behavior)
    return decide(spec, observe(current=current, **seen), history or History())


@pytest.mark.parametrize(
    ("current", "queue", "to"),
    [
        pytest.param(0, 0, 0, id="sleeps on"),
        pytest.param(0, 5, 0, id="at the target: sleeps on"),
        pytest.param(0, 5.1, 1, id="just above: wakes"),
        pytest.param(0, 44, 5, id="wakes with as many as it needs"),
        pytest.param(1, 5, 0, id="falls asleep"),
        pytest.param(3, 5, 0, id="falls asleep from 3"),
        pytest.param(3, 6, 1, id="stays awake"),
        pytest.param(1, DOWN, 1, id="no data: stays awake"),
        pytest.param(0, DOWN, 0, id="no data: sleeps on"),
    ],
)
def test_an_app_stays_at_0_until_its_metric_is_above_the_activation_target(current: int, queue: Any, to: int) -> None:
    assert worker(current, queue=queue).replicas_to == to


@pytest.mark.parametrize(
    ("current", "readings", "to"),
    [
        pytest.param(2, {"RequestsPerSecond": 0.1, "queue": 0}, 1, id="requests keep it awake"),
        pytest.param(2, {"RequestsPerSecond": 0, "queue": 0, "CPU": 0.01}, 0, id="CPU does not"),
        pytest.param(2, {"RequestsPerSecond": DOWN, "queue": 0}, 2, id="a failing metric forbids sleep"),
        pytest.param(0, {"RequestsPerSecond": DOWN, "queue": 6}, 1, id="but not to wake"),
        pytest.param(0, {"queue": 4}, 0, id="metrics of pods are not missed while there are none"),
        pytest.param(0, {"RequestsPerSecond": Reading(problem=DataProblem.EMPTY), "queue": 9}, 1, id="nor when waking"),
    ],
)
def test_every_metric_but_cpu_has_its_say(current: int, readings: dict[str, Any], to: int) -> None:
    metrics = [{"RequestsPerSecond": RPS, "CPU": CPU, "queue": ACTIVATED}[name] for name in readings]
    assert worker(current, *metrics, **readings).replicas_to == to


def test_a_query_with_a_value_for_the_whole_app_activates_too() -> None:
    assert worker(0, ACTIVATED | {"targetType": "Value"}, queue=31).replicas_to == 4


def test_going_to_0_waits_for_the_window_of_scale_down() -> None:
    decision = worker(
        2, queue=0, behavior=free(down={"stabilizationWindowSeconds": 300}), history=past({100: 1, 250: 2})
    )
    assert (decision.replicas_to, decision.reason) == (2, Reason.SCALE_DOWN_STABILIZED)
    assert decision.recommendation
    assert decision.recommendation.replicas == 0


def test_a_percentage_of_no_pods_does_not_keep_an_app_at_0() -> None:
    slow = {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}
    assert worker(0, queue=100, behavior=free(up=slow)).replicas_to == 1


def test_an_app_whose_least_is_above_0_never_goes_to_0() -> None:
    assert worker(3, queue=0, least=1).replicas_to == 1


def test_a_query_that_is_lost_while_the_app_is_at_0_is_reported() -> None:
    assert worker(0, queue=Reading(problem=DataProblem.EMPTY)).reason == "NoData"


def test_activation_and_going_to_0_are_reported() -> None:
    inactive = worker(1, queue=4)
    assert inactive.reason == Reason.INACTIVE
    assert inactive.message.endswith("no metric is above its activationTarget: needs 0 replicas until queue is above 5")
